/**
 * `kv-node serve` as a process of its own: the way operators run a node, and the only way to kill a
 * coordinator without killing the test.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { killNow } from './process-table.js'
import type { Readiness } from './readiness.js'
import { readinessOf } from './readiness.js'
import { until } from './until.js'

const PROGRAM = fileURLToPath(new URL('program/cli/main.js', import.meta.resolve('@kv/node')))
const URL_IN_BANNER = /url\s+(kv:\/\/\S+)/

export interface ServeOptions {
  readonly directory: string
  readonly children?: number
  readonly shards?: number
  readonly port?: number
  readonly logLevel?: string
  readonly pingTimeoutMs?: number
  readonly replicationFactor?: number
  readonly minInSync?: number | undefined
  readonly fsync?: 'always' | 'everysec' | undefined
  /** As `kv-node serve` takes it. */
  readonly directPorts?: string | undefined
  /** In place of `kv-node`; it takes the same flags and says its `url` likewise. */
  readonly program?: string
  /** `NODE_OPTIONS` of the coordinator and its children, and what else the environment is to hold. */
  readonly environment?: Readonly<Record<string, string>>
}

/** How a process ended: one of the two is null. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A start that failed. */
export class NotServing extends Error {
  readonly exit: Exit
  readonly log: string

  constructor(exit: Exit, log: string) {
    super(`kv-node ended with ${exit.code ?? exit.signal} before it served:\n${log}`)
    this.exit = exit
    this.log = log
  }
}

export class NodeProcess {
  readonly pid: number
  readonly directory: string
  readonly exited: Promise<Exit>
  private readonly process: ChildProcess
  private exit: Exit | undefined
  private banner = ''
  private logText = ''

  private constructor(process: ChildProcess, directory: string) {
    this.process = process
    this.directory = directory
    this.pid = process.pid ?? 0
    process.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.banner += chunk
    })
    process.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.logText += chunk
    })
    this.exited = new Promise((resolve, reject) => {
      process.once('error', reject)
      // Once its output is read to the end, too.
      process.once('close', (code, signal) => {
        this.exit = { code, signal }
        resolve(this.exit)
      })
    })
  }

  /** `onSpawn` learns of the process at once, before it is known whether it will serve. */
  static async start(
    options: ServeOptions,
    onSpawn: (node: NodeProcess) => void = () => undefined,
  ): Promise<NodeProcess> {
    const child = spawn(
      process.execPath,
      [options.program ?? PROGRAM, 'serve', ...flagsOf(options)],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...environment(), ...options.environment },
      },
    )
    const node = new NodeProcess(child, options.directory)
    onSpawn(node)
    await until('kv-node serves', () => URL_IN_BANNER.test(node.banner) || node.exit !== undefined)
    if (node.exit !== undefined) throw new NotServing(node.exit, node.logText)
    return node
  }

  get url(): string {
    return URL_IN_BANNER.exec(this.banner)?.[1] ?? ''
  }

  /** Standard error up to now. */
  get log(): string {
    return this.logText
  }

  /** Whether the process is gone; what it leaves behind may still hold its output open. */
  private get hasExited(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null
  }

  /** Whether it ended without having been killed. */
  get hasCrashed(): boolean {
    return this.process.exitCode !== null
  }

  get hasEnded(): boolean {
    return this.exit !== undefined
  }

  /** The children that run now, by the coordinator's own record on disk. */
  childPids(): number[] {
    const { record } = JSON.parse(readFileSync(join(this.directory, 'topology.json'), 'utf8')) as {
      record: { processes: readonly { readonly pid: number }[] }
    }
    return record.processes.map(({ pid }) => pid)
  }

  readiness(): Promise<Readiness> {
    return readinessOf(this.url)
  }

  /** kill -9 of the coordinator alone; its children are on their own. */
  async kill(): Promise<void> {
    killNow(this.pid)
    await until('the killed coordinator has ended', () => this.hasExited)
  }

  /** Asks it to end, and tells how it ended. */
  async terminate(signal: 'SIGTERM' | 'SIGINT' = 'SIGTERM'): Promise<Exit> {
    this.process.kill(signal)
    return this.exited
  }
}

/** Runs `kv-node` with these arguments to its end. */
export async function runProgram(
  args: readonly string[],
): Promise<Exit & { readonly output: string; readonly log: string }> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(),
  })
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  const [output, log, exit] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { ...exit, output, log }
}

function flagsOf(options: ServeOptions): string[] {
  const {
    directory,
    children = 2,
    shards,
    port = 0,
    logLevel = 'warn',
    pingTimeoutMs,
    replicationFactor,
    minInSync,
    fsync,
    directPorts,
  } = options
  const flags = {
    'data-dir': directory,
    children,
    shards,
    port,
    'log-level': logLevel,
    'ping-timeout': pingTimeoutMs,
    'replication-factor': replicationFactor,
    'min-in-sync': minInSync,
    fsync,
    'direct-ports': directPorts,
  }
  return Object.entries(flags).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  )
}

/** Ours, without what would configure a node. */
function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('KV_'))
  return Object.fromEntries(own)
}
