/**
 * A scene owns everything a test starts: directories, nodes, processes, clients. When it ends, all
 * of it ends, in reverse order; what should have ended by itself and has not fails the test.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClientOptions, UntypedClient } from '@kv/client'
import { createClient } from '@kv/client'
import type { KvNode, NodeOptions } from '@kv/node'
import { startNode } from '@kv/node'
import { onTestFinished } from 'vitest'
import { MessageTap } from './message-tap.js'
import { NodeProcess } from './node-process.js'
import type { ServeOptions } from './node-process.js'
import { isRunning, killNow, untilGone } from './process-table.js'
import { until } from './until.js'

const END_TIMEOUT_MS = 60_000
/** What a node may take to end by itself; its own limit is below 10 s. */
const END_PATIENCE_MS = 12_000

/** A scene that ends with the test that runs. */
export function sceneOfTest(): Scene {
  const scene = new Scene('the test')
  onTestFinished(() => scene.end(), END_TIMEOUT_MS)
  return scene
}

type Ending = () => Promise<unknown> | void

export class Scene {
  private readonly endings: Ending[] = []
  private readonly directories: string[] = []
  private readonly pids = new Set<number>()
  private readonly name: string

  /** `name` is for messages. */
  constructor(name: string) {
    this.name = name
  }

  /** A new, empty directory. */
  async directory(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'kv-tests-'))
    this.directories.push(directory)
    return directory
  }

  /** A node in this process, its children in theirs. */
  async startNode(options: Partial<NodeOptions> = {}): Promise<KvNode> {
    const node = await startNode({
      dataDir: options.dataDir ?? (await this.directory()),
      port: 0,
      children: 2,
      logger: 'silent',
      ...options,
    })
    this.endings.push(() => node.close())
    const remember = (): void => {
      for (const { pid } of node.topology().children) if (pid > 0) this.pids.add(pid)
    }
    remember()
    node.on('topology', remember)
    return node
  }

  /** A node as a process of its own. */
  async serve(options: Partial<ServeOptions> = {}): Promise<NodeProcess> {
    const directory = options.directory ?? (await this.directory())
    const node = await NodeProcess.start({ ...options, directory }, (spawned) => {
      this.pids.add(spawned.pid)
      this.endings.push(() => end(spawned))
    })
    for (const pid of node.childPids()) this.pids.add(pid)
    return node
  }

  client(target: string | ClientOptions): UntypedClient {
    const client = createClient(target)
    this.endings.push(() => client.close())
    return client
  }

  /** A line to the node that can be listened to, held and cut. */
  async tap(url: string): Promise<MessageTap> {
    const tap = await MessageTap.start(url)
    this.endings.push(() => tap.close())
    return tap
  }

  /** Something else that has to be put away; the last thing added ends first. */
  onEnd(ending: Ending): void {
    this.endings.push(ending)
  }

  async end(): Promise<void> {
    const problems: unknown[] = []
    for (const ending of this.endings.splice(0).toReversed()) {
      try {
        await ending()
      } catch (error) {
        problems.push(error)
      }
    }
    await untilGone(this.pids, END_PATIENCE_MS).catch((error: unknown) => problems.push(error))
    for (const pid of this.pids) if (isRunning(pid)) killNow(pid)
    for (const directory of this.directories) {
      await rm(directory, { recursive: true, force: true, maxRetries: 3 })
      if (existsSync(directory)) problems.push(new Error(`${directory} could not be removed`))
    }
    if (problems.length > 0) {
      throw new AggregateError(problems, `${this.name} left behind: ${problems.join('; ')}`)
    }
  }
}

async function end(node: NodeProcess): Promise<void> {
  if (node.hasEnded) return
  const ending = node.terminate()
  await until('kv-node has ended', () => node.hasEnded, END_PATIENCE_MS)
  const { code, signal } = await ending
  if (code !== 0) throw new Error(`kv-node ended with ${code ?? signal}:\n${node.log}`)
}
