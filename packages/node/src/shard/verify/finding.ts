/**
 * What an offline check found: which file, where in it, and what is wrong.
 */
import { LogDamage } from '../log/errors.js'

export interface Finding {
  /** A file or directory. */
  readonly path: string
  /** Bytes from its start, where that is known. */
  readonly offsetBytes?: number | undefined
  readonly what: string
}

/** A check with more to say says so in a number. */
const FINDINGS_MAX = 20

export function cappedFindings(findings: readonly Finding[], path: string): readonly Finding[] {
  if (findings.length <= FINDINGS_MAX) return findings
  const rest = findings.length - FINDINGS_MAX
  return [...findings.slice(0, FINDINGS_MAX), { path, what: `and ${rest} findings more` }]
}

/** What an error says about `path`, or about the file that it names itself. */
export function findingOf(error: unknown, path: string): Finding {
  if (error instanceof LogDamage) {
    return { path: error.file, offsetBytes: error.offsetBytes, what: error.message }
  }
  return { path, what: error instanceof Error ? error.message : String(error) }
}
