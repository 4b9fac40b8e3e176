import { duplexPair } from 'node:stream'
import type { Topology } from '@kv/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ClientIds } from '../ingress/client-ids.js'
import { Greeter } from '../ingress/greeting.js'
import { Relay } from '../ingress/relay.js'
import type { FromChild, ToChild } from '../link/control.js'
import type { ChildListener, RunningChild } from './child-process.js'
import { absentChild } from './child-state.js'
import { firstTopology } from './node-state.js'
import { closedCopy } from './copy-state.js'
import { newShard } from './shard-state.js'
import { recordOf } from './state-record.js'
import type { StateRecord } from './state-record.js'
import { Supervisor } from './supervisor.js'

const SHARDS = 4

/** A child whose every word the test decides, but for `started` and `opened` if it is willing. */
class FakeProcess implements RunningChild {
  // A pid that exists, so that its start time can be found.
  readonly pid = process.pid
  readonly socket = duplexPair({ allowHalfOpen: false })[0]
  readonly told: ToChild[] = []
  readonly id: number
  isKilled = false
  isWilling = true
  private readonly listener: ChildListener

  constructor(id: number, listener: ChildListener) {
    this.id = id
    this.listener = listener
  }

  send(message: ToChild): void {
    if (message.type === 'ping') {
      this.says({ type: 'pong', nonce: message.nonce })
      return
    }
    this.told.push(message)
    events.push(`${message.type} → ${this.id}`)
    if (!this.isWilling) return
    if (message.type === 'configure') this.says({ type: 'started', port: 0 })
    if (message.type === 'stop') this.exits(0)
    if (message.type === 'open') {
      const { shard, hosting, epoch } = message.place
      this.says({ type: 'opened', shard, hosting, epoch })
    }
    if (message.type === 'back') {
      const { shard, hosting } = message.place
      this.says({ type: 'backing', shard, hosting })
    }
    if (message.type === 'release') this.says({ ...message, type: 'released' })
  }

  says(message: FromChild): void {
    setImmediate(() => this.listener.onMessage(message))
  }

  kill(): void {
    this.isKilled = true
    events.push(`kill → ${this.id}`)
  }

  exits(code: number | null, signal: NodeJS.Signals | null = null): void {
    setImmediate(() => {
      events.push(`exit ← ${this.id}`)
      this.listener.onExit({ code, signal })
    })
  }

  opens(): number[] {
    return this.told.flatMap((message) => (message.type === 'open' ? [message.place.shard] : []))
  }
}

let processes: FakeProcess[]
/** What was said, written and published, in order. */
let events: string[]
let persisted: StateRecord[]
let published: Topology[]
let persist: (record: StateRecord) => Promise<void>
let supervisor: Supervisor

function createSupervisor(children: number, copies = 1): Supervisor {
  const shards = Array.from({ length: SHARDS }, (_, id) =>
    newShard(id, { copies: Array.from({ length: copies }, (__, copy) => closedCopy(copy)) }),
  )
  const first = firstTopology(1, shards)
  const state = {
    minInSync: Math.min(2, copies),
    shards,
    children: Array.from({ length: children }, (_, index) => absentChild(index + 1)),
    published: first,
  }
  return new Supervisor(state, {
    fork: (listener) => {
      const living = processes.filter((process) => !gone.has(process)).map(({ id }) => id)
      const id = [1, 2, 3].find((candidate) => !living.includes(candidate))!
      const process = new FakeProcess(id, {
        onMessage: (message) => listener.onMessage(message),
        onExit: (exit) => {
          gone.add(process)
          listener.onExit(exit)
        },
      })
      processes.push(process)
      return process
    },
    relay: createRelay(first),
    pulse: { intervalMs: 10_000, timeoutMs: 10_000 },
    log: pino({ level: 'silent' }),
    configurationOf: (childId) => ({
      childId,
      clusterId: 'cluster',
      shardCount: SHARDS,
      clock: { wallMs: 0, monotonicNs: '0' },
      limits: { valueBytesMax: 1, overlayBytesMax: 1, historyBytesMax: 1, historyMsMax: 1 },
      fsync: 'always',
      jumps: false,
      snapshotsEveryMs: 0,
      logLevel: 'silent',
      replicationAddress: copies === 1 ? '' : `/run/${childId}-${processes.length}.sock`,
    }),
    volumePath: () => '/data',
    directoryOf: (shard, { copy }) => `/data/shards/${shard}/${copy}`,
    persist: (changed) => persist(recordOf(changed)),
    listener: {
      onPublish: (topology) => published.push(topology),
      onChildExit: () => {},
      onReport: () => {},
      onChange: () => {},
    },
  })
}

const gone = new Set<FakeProcess>()

function createRelay(topology: Topology): Relay {
  const ids = new ClientIds({ next: 1, end: 9, secret: 'ab', reserve: () => Promise.resolve() })
  return new Relay(
    {
      clusterId: 'cluster',
      limits: { valueBytesMax: 1, messageBytesMax: 1, inFlightBytesMax: 1 },
      connectionsMax: 1,
      laneBytesMax: 1,
      greeter: new Greeter(ids, undefined),
      now: () => 0,
      onError: () => {},
    },
    topology,
  )
}

/** Lets everything happen that happens without the passing of time. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve))
}

/** What a child is told of this type, once it is; more may follow. */
async function heardBy(
  process: FakeProcess,
  type: 'release',
): Promise<Extract<ToChild, { type: 'release' }>[]> {
  const found = (): Extract<ToChild, { type: 'release' }>[] =>
    process.told.filter((message) => message.type === type)
  await until(() => found().length > 0)
  return found()
}

function areAllOpen(): boolean {
  return published.at(-1)?.primaries.every((child) => child !== 0) ?? false
}

beforeEach(() => {
  processes = []
  events = []
  persisted = []
  published = []
  gone.clear()
  persist = async (record) => {
    persisted.push(record)
    events.push('persist')
  }
})

afterEach(async () => {
  for (const process of processes) {
    process.isWilling = true
    if (process.isKilled) process.exits(null, 'SIGKILL')
  }
  await supervisor.stop(1_000)
})

describe('supervisor', () => {
  test('a start → every shard is opened, new, in its directory, and published', async () => {
    supervisor = createSupervisor(2)
    supervisor.start()
    await until(areAllOpen)
    expect(new Set(processes.flatMap((process) => process.opens()))).toEqual(new Set([0, 1, 2, 3]))
    const open = processes[0]!.told.find((message) => message.type === 'open')!
    expect(open).toMatchObject({ place: { epoch: 1, create: true } })
    expect(published.at(-1)!.epochs).toEqual([1, 1, 1, 1])
  })

  test('before anything is opened → its process, child and epoch are persisted', async () => {
    supervisor = createSupervisor(1)
    persist = async (record) => {
      await new Promise((resolve) => setImmediate(resolve))
      expect(processes.flatMap((process) => process.opens())).toEqual([])
      persisted.push(record)
      if (record.shards.every((shard) => shard.epoch === 1)) persist = async () => {}
    }
    supervisor.start()
    await until(areAllOpen)
    const last = persisted.at(-1)!
    expect(last.processes).toMatchObject([{ child: 1, pid: process.pid }])
    expect(last.shards.map((shard) => shard.copies[0])).toEqual(
      Array.from({ length: SHARDS }, () => ({ volume: 0, child: 1, hosting: 1, isCreated: false })),
    )
  })

  test('a shard was created → that is persisted before clients hear of it', async () => {
    supervisor = createSupervisor(1)
    supervisor.start()
    await until(areAllOpen)
    expect(persisted.at(-1)!.shards.every((shard) => shard.copies[0]!.isCreated)).toBe(true)
  })

  test('a child ends → its shards open elsewhere, in the next epoch, existing', async () => {
    supervisor = createSupervisor(2)
    supervisor.start()
    await until(areAllOpen)
    const [first, second] = processes as [FakeProcess, FakeProcess]
    const had = first.opens()
    first.exits(null, 'SIGKILL')
    await until(() => had.every((shard) => second.opens().includes(shard)))
    for (const shard of had) {
      const open = second.told.findLast(
        (message) => message.type === 'open' && message.place.shard === shard,
      )
      expect(open).toMatchObject({ place: { epoch: 2, create: false } })
    }
    // The child comes back and gets its share again, released by the other first (P5).
    await until(() => processes.length === 3 && processes[2]!.opens().length === 2 && areAllOpen())
    expect(events.indexOf('exit ← 1')).toBeLessThan(events.lastIndexOf('open → 2'))
    expect(events.indexOf('release → 2')).toBeLessThan(events.lastIndexOf('open → 1'))
  })

  test('its data socket ends though it lives → killed; its shards wait for its exit (P5)', async () => {
    supervisor = createSupervisor(2)
    supervisor.start()
    await until(areAllOpen)
    const [first, second] = processes as [FakeProcess, FakeProcess]
    const before = second.opens().length
    first.socket.destroy()
    await until(() => first.isKilled)
    await until(() => published.at(-1)!.primaries.includes(0))
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(second.opens()).toHaveLength(before)
    first.exits(null, 'SIGKILL')
    await until(() => second.opens().length === SHARDS)
  })

  test('a shard is damaged → the others are served', async () => {
    supervisor = createSupervisor(1)
    supervisor.start()
    await until(areAllOpen)
    const failure = { reason: 'bad frame', damaged: true }
    processes[0]!.says({ type: 'failed', shard: 2, hosting: 1, ...failure })
    await until(() => !areAllOpen())
    expect(published.at(-1)!.primaries).toEqual([1, 1, 0, 1])
    const damaged = supervisor.state.shards[2]!.copies[0]
    expect(damaged).toMatchObject({ phase: 'damaged', reason: 'bad frame' })
  })

  test('the topology can not be written → nobody is told anything until it can', async () => {
    supervisor = createSupervisor(1)
    supervisor.start()
    await until(() => processes.length === 1)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    let tries = 0
    persist = () => {
      tries += 1
      return Promise.reject(new Error('no space left'))
    }
    await until(() => tries > 0)
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(processes[0]!.opens()).toEqual([])
    persist = () => Promise.resolve()
    vi.advanceTimersByTime(1_000)
    vi.useRealTimers()
    await until(areAllOpen)
    expect(new Set(processes[0]!.opens()).size).toBe(SHARDS)
  })

  test('stop → every child is asked, and nothing is replaced', async () => {
    supervisor = createSupervisor(3)
    supervisor.start()
    await until(areAllOpen)
    await supervisor.stop(1_000)
    expect(processes).toHaveLength(3)
    expect(events.filter((event) => event.startsWith('stop'))).toHaveLength(3)
    expect(recordOf(supervisor.state).processes).toEqual([])
  })

  test('stop, and a child does not → killed', async () => {
    supervisor = createSupervisor(1)
    supervisor.start()
    await until(areAllOpen)
    processes[0]!.isWilling = false
    const stopping = supervisor.stop(0)
    await until(() => processes[0]!.isKilled)
    processes[0]!.exits(null, 'SIGKILL')
    await stopping
    expect(supervisor.state.children[0]!.phase).toBe('absent')
  })

  test('a child that is not wanted any more → emptied, told to stop; killed if it does not end', async () => {
    supervisor = createSupervisor(3)
    supervisor.start()
    await until(areAllOpen)
    const leaving = processes[2]!
    leaving.isWilling = false
    supervisor.scale(2)
    // What it had is released and opened elsewhere first.
    for (const message of await heardBy(leaving, 'release')) {
      expect(leaving.told.some(({ type }) => type === 'stop')).toBe(false)
      leaving.says({ ...message, type: 'released' })
    }
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await until(() => leaving.told.some(({ type }) => type === 'stop'))
    await until(areAllOpen)
    vi.advanceTimersByTime(11_000)
    vi.useRealTimers()
    expect(leaving.isKilled).toBe(true)
    leaving.exits(null, 'SIGKILL')
    await until(() => supervisor.state.children.length === 2)
    expect(processes).toHaveLength(3)
  })
})
