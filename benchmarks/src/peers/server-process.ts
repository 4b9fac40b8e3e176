/** A store as a process of its own, started for the run and ended after it. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const START_MS = 20_000

export class ServerProcess {
  readonly directory: string
  private readonly child: ChildProcess
  private readonly exit: Promise<void>

  private constructor(directory: string, child: ChildProcess) {
    this.directory = directory
    this.child = child
    this.exit = new Promise((resolve) => {
      child.once('exit', () => {
        resolve()
      })
    })
  }

  get pid(): number {
    return this.child.pid!
  }

  /**
   * Starts `command` with a temporary directory of its own. Rejects with code `ENOENT` if there is
   * no such command.
   */
  static async start(
    command: string,
    argumentsFor: (directory: string) => readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<ServerProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'kv-bench-'))
    const child = spawn(command, argumentsFor(directory), {
      cwd: directory,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const server = new ServerProcess(directory, child)
    try {
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve)
        child.once('error', reject)
      })
    } catch (error) {
      await rm(directory, { recursive: true, force: true })
      throw error
    }
    return server
  }

  /** Tries until `attempt` succeeds; what is measured begins after that. */
  async ready(attempt: () => Promise<void>): Promise<void> {
    const giveUpAt = performance.now() + START_MS
    for (;;) {
      try {
        await attempt()
        return
      } catch (error) {
        if (performance.now() > giveUpAt || this.child.exitCode !== null) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM')
    await this.exit
    await rm(this.directory, { recursive: true, force: true })
  }
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
