/**
 * The frames of a real log, said to a backup one by one as the test says: a primary that does nothing
 * by itself.
 */
import type { Backup } from '../backup.js'
import { encodeFrame, FRAME_HEADER_BYTES, lastRevisionOf, type LogFrame } from '../log/frame.js'
import type { LogPosition } from '../log/position.js'
import { LOG_START } from '../log/position.js'
import { closeReplica, openBackupReplica } from '../replica.js'
import type { ToFollower, ToPrimary } from '../replication/messages.js'

/** The frames of a shard that nobody has open, none of them applied. */
export async function framesIn(directory: string, shard: number = 5): Promise<LogFrame[]> {
  const frames: LogFrame[] = []
  const options = { directory, clusterId: 'cluster-1', shard, create: false }
  await closeReplica(await openBackupReplica(options, (frame) => frames.push(frame)))
  return frames
}

/** A copy of the frame as it comes from a line: with its header in front, in its own memory. */
export function arrived(frame: LogFrame): LogFrame {
  const buffer = Buffer.alloc(FRAME_HEADER_BYTES + frame.body.length)
  frame.body.copy(buffer, FRAME_HEADER_BYTES)
  encodeFrame(buffer, frame.body.length, frame, 0)
  return { ...frame, body: buffer.subarray(FRAME_HEADER_BYTES) }
}

type Said<Type extends ToPrimary['type']> = Extract<ToPrimary, { readonly type: Type }>

export class ScriptedPrimary {
  readonly heard: ToPrimary[] = []
  readonly broken: string[] = []
  private readonly epoch: number
  private readonly line: { onMessage(message: ToFollower): void; end(): void }
  private readonly waiting = new Set<() => void>()

  constructor(backup: Backup, epoch: number) {
    this.epoch = epoch
    this.line = backup.follow({
      send: (message) => {
        this.heard.push(message)
        this.wake()
      },
      broken: (reason) => {
        this.broken.push(reason)
        this.wake()
      },
    })
  }

  private wake(): void {
    for (const look of this.waiting) look()
  }

  /** Resolves when something is true of what was heard. */
  until(isTrue: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!isTrue()) return
        this.waiting.delete(look)
        resolve()
      }
      this.waiting.add(look)
      look()
    })
  }

  private find<Type extends ToPrimary['type']>(type: Type): Said<Type> | undefined {
    return this.heard.findLast((message): message is Said<Type> => message.type === type)
  }

  async hear<Type extends ToPrimary['type']>(type: Type): Promise<Said<Type>> {
    await this.until(() => this.find(type) !== undefined)
    return this.find(type)!
  }

  say(message: ToFollower): void {
    this.line.onMessage(message)
  }

  /** Greets it, and has it join after this position: the beginning of the log if none is given. */
  async join(after: LogPosition = LOG_START): Promise<Said<'state'>> {
    this.say({ type: 'greet', epoch: this.epoch })
    const state = await this.hear('state')
    this.say({ type: 'cut', epoch: this.epoch, after })
    await this.hear('joined')
    return state
  }

  /** Sends frames, and waits until they are synced. */
  async stream(frames: readonly LogFrame[], commitRevision: number): Promise<void> {
    for (const frame of frames) {
      this.say({ type: 'frame', epoch: this.epoch, frame: arrived(frame), commitRevision })
    }
    const last = lastRevisionOf(frames.at(-1)!)
    await this.until(() => this.broken.length > 0 || this.find('durable')?.revision === last)
  }

  commit(revision: number): void {
    this.say({ type: 'commit', epoch: this.epoch, revision })
  }

  end(): void {
    this.line.end()
  }
}
