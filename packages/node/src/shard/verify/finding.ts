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

/** What an error says about `path`, or about the file that it names itself. */
export function findingOf(error: unknown, path: string): Finding {
  if (error instanceof LogDamage) {
    return { path: error.file, offsetBytes: error.offsetBytes, what: error.message }
  }
  return { path, what: error instanceof Error ? error.message : String(error) }
}
