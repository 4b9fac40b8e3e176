/** A sequencer between a log that does what the test says and a committed state in a map. */
import type { WriteCall } from '@kv/protocol'
import type { Answer } from '../answer.js'
import type { Held } from '../held.js'
import { visibleAt } from '../held.js'
import type { Group } from '../sequencer/group.js'
import { FRAME_HEADER_BYTES } from '../log/frame.js'
import { SessionTable } from '../sessions/session-table.js'
import type { Effect } from '../sequencer/record.js'
import { readEntries } from '../sequencer/record.js'
import { Sequencer, writeAtOnce } from '../sequencer/sequencer.js'
import { GatheredAnswers, setCall } from './calls.js'
import { keysInRange } from './entries.js'

export interface AppendedFrame {
  readonly firstRevision: number
  readonly count: number
  readonly epoch: number
  readonly timeMs: number
  readonly effects: readonly Effect[]
}

/** Takes one frame at a time and ends each append as the test decides. */
export class ScriptedLog {
  hasRoom = true
  spaceError: Error | undefined
  readonly frames: AppendedFrame[] = []
  private ending: { resolve: () => void; reject: (error: Error) => void } | undefined

  hasRoomFor(): boolean {
    return this.hasRoom
  }

  get isBusy(): boolean {
    return this.ending !== undefined
  }

  append(
    frame: Buffer,
    bodyBytes: number,
    meta: { epoch: number; firstRevision: number; count: number; timeMs: number },
  ): Promise<void> {
    if (this.ending !== undefined) throw new Error('two frames in flight')
    const effects: Effect[] = []
    const body = Buffer.from(frame.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + bodyBytes))
    readEntries(body, meta.count, meta.firstRevision, (effect) => effects.push(effect))
    this.frames.push({ ...meta, effects })
    return new Promise((resolve, reject) => {
      this.ending = { resolve, reject }
    })
  }

  /** The frame in flight is durable. */
  async finish(): Promise<void> {
    this.takeEnding().resolve()
    await settled()
  }

  async fail(error: Error): Promise<void> {
    this.takeEnding().reject(error)
    await settled()
  }

  private takeEnding(): { resolve: () => void; reject: (error: Error) => void } {
    const { ending } = this
    if (ending === undefined) throw new Error('no frame is in flight')
    this.ending = undefined
    return ending
  }
}

/** What follows from a promise that is settled already has happened. */
export function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

export class SequencerUnderTest {
  readonly log: ScriptedLog = new ScriptedLog()
  readonly committed: Map<string, Held> = new Map()
  readonly answers: GatheredAnswers = new GatheredAnswers()
  readonly failures: Error[] = []
  readonly sessions: SessionTable = new SessionTable()
  readonly sequencer: Sequencer
  /** What has committed, in order. */
  readonly groups: Group[] = []
  nowMs = 1_000
  /** What the committed state says. */
  earliestEndMs = 0
  /** How often a committed entry was looked at. */
  looks = 0
  private position = 0

  constructor(lastRevision: number = 0) {
    const earliestEndMs = (): number => this.earliestEndMs
    this.sequencer = new Sequencer({
      pace: writeAtOnce,
      log: this.log,
      epoch: 4,
      lastRevision,
      lastTimeMs: 0,
      sessions: this.sessions,
      now: () => this.nowMs,
      committed: (key) => {
        this.looks += 1
        return this.committed.get(key)
      },
      get earliestEndMs() {
        return earliestEndMs()
      },
      firstCommitted: (range) => ({ keys: this.visibleKeys(range), resume: undefined }),
      onCommit: (group) => {
        this.groups.push(group)
        for (const [index, key] of group.keys.entries()) {
          this.committed.set(key, group.helds[index] as Held)
        }
      },
      onFailure: (error) => this.failures.push(error),
    })
  }

  private visibleKeys(range: { from: string; to: string | undefined }): string[] {
    const visible = [...this.committed].filter(([, held]) => visibleAt(held, this.nowMs))
    const keys = visible.map(([key]) => key)
    return keysInRange(keys, range, false)
  }

  /** Submits a call and flushes. Returns where its answer will be. */
  call(call: WriteCall): number {
    const position = this.submit(call)
    this.sequencer.flush()
    return position
  }

  submit(call: WriteCall): number {
    const { answers, nowMs } = this
    const position = this.position++
    const sequence = position + 1
    const origin = { clientId: 1, lowWater: 0, isResend: false, answers, nowMs, sequence, position }
    this.sequencer.submit(call, origin)
    return position
  }

  set(key: string, text: string = 'x'): number {
    return this.call(setCall(key, text))
  }

  readInOrder(read: Answer | (() => Answer)): number {
    const position = this.position++
    this.sequencer.readInOrder(this.answers, position, read)
    return position
  }

  answerAt(position: number): Answer | undefined {
    return this.answers.byPosition.get(position)
  }
}
