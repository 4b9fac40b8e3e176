/** A full disk for this process alone: files can't grow beyond a limit until it is lifted. */
import { execFileSync } from 'node:child_process'

/** Needs `prlimit` of util-linux; each test file runs in a process of its own. */
export const CAN_LIMIT_FILE_SIZE: boolean = hasPrlimit()

export async function withFileSizeLimit(bytes: number, use: () => Promise<void>): Promise<void> {
  setLimit(String(bytes))
  try {
    await use()
  } finally {
    setLimit('unlimited')
  }
}

function hasPrlimit(): boolean {
  try {
    execFileSync('prlimit', ['--version'], { stdio: 'ignore' })
    return process.platform === 'linux'
  } catch {
    return false
  }
}

/** The soft limit only, so that it can be lifted again. */
function setLimit(bytes: string): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`])
}
