/** A store as processes of its own, started for the run and ended after it. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isRunning, processMemoryBytes, processTimeMs, processTree } from '../process-tree.js'
import type { AbsentPeer } from './peer.js'

/** A start that has to read much that is stored takes long. */
const START_MS = 600_000
const STOP_MS = 10_000
/** How finely the time of a start is known. */
const ATTEMPT_MS = 5

export interface Program {
  readonly command: string
  argumentsFor(directory: string): readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

export class ServerProcess {
  readonly directory: string
  private readonly program: Program
  private child: ChildProcess
  private exit: Promise<void>

  private constructor(directory: string, program: Program) {
    this.directory = directory
    this.program = program
    this.child = spawnIn(directory, program)
    this.exit = exitOf(this.child)
  }

  get pid(): number {
    return this.child.pid!
  }

  /** Starts it with a temporary directory of its own. Rejects if there is no such command. */
  static async start(program: Program): Promise<ServerProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'kv-bench-'))
    const server = new ServerProcess(directory, program)
    try {
      await isSpawned(server.child)
    } catch (error) {
      await rm(directory, { recursive: true, force: true })
      throw error
    }
    return server
  }

  /**
   * Tries until `attempt` succeeds; what is measured begins after that. A server that ends before, or
   * never gets there, is stopped, and the last failure thrown.
   */
  async ready(attempt: () => Promise<void>): Promise<void> {
    const giveUpAt = performance.now() + START_MS
    for (;;) {
      try {
        await attempt()
        return
      } catch (error) {
        if (performance.now() > giveUpAt || !isRunning(this.pid)) {
          await this.stop()
          throw error
        }
        await delay(ATTEMPT_MS)
      }
    }
  }

  /** Milliseconds of CPU that its processes have used so far, where that is known. */
  cpuMs(): number | undefined {
    return processTimeMs(this.pid)
  }

  /** Bytes of memory of its processes, where that is known. */
  memoryBytes(): number | undefined {
    return processMemoryBytes(this.pid)
  }

  /** `kill -9` of all its processes. Resolves when none runs any more. */
  async kill(): Promise<void> {
    // The first one first, or it would start the others again.
    const pids = processTree(this.pid)
    for (const pid of pids) killIfRunning(pid)
    await this.exit
    while (pids.some(isRunning)) await delay(1)
  }

  /** Starts it again on what it has stored. */
  async restart(): Promise<void> {
    this.child = spawnIn(this.directory, this.program)
    this.exit = exitOf(this.child)
    await isSpawned(this.child)
  }

  /** Ends it, in good order if it is able to, and removes what it stored. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM')
    const ended = await Promise.race([this.exit, delay(STOP_MS, 'late', { ref: false })])
    if (ended === 'late') await this.kill()
    await rm(this.directory, { recursive: true, force: true })
  }
}

/** Starts a peer. If its program is missing, the peer is absent and says what to install. */
export async function startIfInstalled<Started>(
  name: string,
  install: string,
  start: () => Promise<Started>,
): Promise<Started | AbsentPeer> {
  try {
    return await start()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return { name, absent: `not installed here: ${install}` }
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

function spawnIn(directory: string, program: Program): ChildProcess {
  return spawn(program.command, program.argumentsFor(directory), {
    cwd: directory,
    env: { ...process.env, ...program.environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

function exitOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => {
      resolve()
    })
  })
}

async function isSpawned(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
}

function killIfRunning(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
