/** `kv-node` and `kv` as somebody runs them beside a node: what was printed, and how it ended. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const NODE_PROGRAM = fileURLToPath(new URL('program/cli/main.js', import.meta.resolve('@kv/node')))
const CLIENT_PROGRAM = fileURLToPath(new URL('cli/main.js', import.meta.resolve('@kv/client')))
const TIMEOUT_MS = 60_000

export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export function kvNode(...args: readonly string[]): Promise<Finished> {
  return run(NODE_PROGRAM, args)
}

/** The client; `input` is what it finds in its standard input. */
export function kv(args: readonly string[], input = ''): Promise<Finished> {
  return run(CLIENT_PROGRAM, args, input)
}

function run(program: string, args: readonly string[], input = ''): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program, ...args],
      { timeout: TIMEOUT_MS },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code ?? -1)
        resolve({ code, stdout, stderr })
      },
    )
    child.stdin?.end(input)
  })
}
