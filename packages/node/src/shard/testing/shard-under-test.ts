/** A real shard on a real directory, under a clock that the test sets. */
import type { Call, ReadCall, WriteCall } from '@kv/protocol'
import { isReadCall, readNumberValue, WireReader, WireWriter } from '@kv/protocol'
import type { Answer } from '../answer.js'
import type { HistoryLimits } from '../feed/history.js'
import type { LogFileSystem } from '../log/file-system.js'
import type { Attempt } from '../sessions/session-table.js'
import type { Journals } from '../journal/journals.js'
import { Shard, type ShardOptions } from '../shard.js'
import { ReadCache } from '../state/read-cache.js'
import { GatheredAnswers } from './calls.js'

export interface ShardUnderTestOptions {
  readonly directory: string
  readonly create?: boolean
  readonly epoch?: number
  readonly shard?: number
  readonly clusterId?: string
  readonly fileSystem?: LogFileSystem
  readonly clock?: { nowMs: number }
  readonly history?: HistoryLimits
  readonly journals?: Journals
  readonly onFailure?: (error: Error) => void
  readonly shardOptions?: Pick<
    ShardOptions,
    'replica' | 'replication' | 'snapshots' | 'onRebuilt' | 'jumps'
  >
  /** The shard is there, and its epoch begins. */
  readonly onOpening?: (under: ShardUnderTest) => void
}

/** One for all, as in a child, and small: entries come and go. */
const readCache = new ReadCache(65_536)

/** Each opening is another client: its numbers begin at 1. */
let nextClientId = 1

export class ShardUnderTest {
  readonly shard: Shard
  readonly clock: { nowMs: number }
  readonly failures: Error[]
  private readonly clientId: number = nextClientId++
  private nextSequence = 1

  private constructor(shard: Shard, clock: { nowMs: number }, failures: Error[]) {
    this.shard = shard
    this.clock = clock
    this.failures = failures
  }

  static async open(options: ShardUnderTestOptions): Promise<ShardUnderTest> {
    const failures: Error[] = []
    const { clock = { nowMs: 1_000_000 }, fileSystem, history, journals } = options
    let under: ShardUnderTest | undefined
    const shard = await Shard.open({
      directory: options.directory,
      create: options.create ?? false,
      epoch: options.epoch ?? 1,
      shard: options.shard ?? 5,
      clusterId: options.clusterId ?? 'cluster-1',
      clock: { now: () => clock.nowMs },
      onFailure: (error) => {
        failures.push(error)
        options.onFailure?.(error)
      },
      ...(fileSystem === undefined ? {} : { fileSystem }),
      ...(history === undefined ? {} : { history }),
      ...(journals === undefined ? {} : { journals }),
      readCache,
      ...options.shardOptions,
      onOpening: (opening) => {
        under = new ShardUnderTest(opening, clock, failures)
        options.onOpening?.(under)
      },
    })
    return under ?? new ShardUnderTest(shard, clock, failures)
  }

  read(call: ReadCall): Answer {
    while (this.shard.sortSome());
    const writer = new WireWriter()
    this.shard.read(call, this.clock.nowMs, writer)
    return writer.written()
  }

  /** The value of a counter as a read shows it; 0 if it is not there. */
  counter(key: string): number {
    const answer = this.read({ type: 'get', key }) as Uint8Array
    const reader = new WireReader(answer)
    if (reader.skipNil()) return 0
    const length = reader.binaryLength(64)
    return readNumberValue(answer, reader.position - length, reader.position) ?? Number.NaN
  }

  /** The answer to a call that is sent alone. */
  async write(call: WriteCall): Promise<Answer> {
    const [answer] = await this.send([call])
    return answer as Answer
  }

  /** The answers to calls that are sent as one batch of writes; reads among them are in order. */
  send(calls: readonly Call[]): Promise<Answer[]> {
    const { answers } = this.sendUnanswered(calls)
    return Promise.all(calls.map((_, position) => answers.at(position)))
  }

  /** A write of a client that numbers its calls itself. */
  async attempt(
    call: WriteCall,
    attempt: Attempt & { readonly lowWater?: number },
  ): Promise<Answer> {
    while (this.shard.sortSome());
    const answers = new GatheredAnswers()
    const { nowMs } = this.clock
    this.shard.submit(call, { lowWater: 0, ...attempt, answers, nowMs, position: 0 })
    this.shard.flush()
    const answer = await answers.at(0)
    return answer instanceof Uint8Array ? Uint8Array.from(answer) : answer
  }

  sendUnanswered(calls: readonly Call[]): { readonly answers: GatheredAnswers } {
    const answers = new GatheredAnswers()
    const nowMs = this.clock.nowMs
    for (const [position, call] of calls.entries()) {
      const sequence = this.nextSequence++
      const origin = {
        clientId: this.clientId,
        lowWater: 0,
        isResend: false,
        answers,
        nowMs,
        sequence,
        position,
      }
      if (isReadCall(call)) this.shard.readInOrder(call, origin)
      else this.shard.submit(call, origin)
    }
    this.shard.flush()
    return { answers }
  }
}
