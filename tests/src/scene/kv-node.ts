/** `kv-node` as somebody runs it beside a node: what it printed, and how it ended. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('program/cli/main.js', import.meta.resolve('@kv/node')))
const TIMEOUT_MS = 60_000

export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export function kvNode(...args: readonly string[]): Promise<Finished> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [PROGRAM, ...args],
      { timeout: TIMEOUT_MS },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code ?? -1)
        resolve({ code, stdout, stderr })
      },
    )
  })
}
