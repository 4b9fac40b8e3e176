/**
 * Keeps each backup of this child in conversation with its primary, as long as that is the one to
 * follow: one socket per address, shared; a conversation or a socket that ends is begun anew after a
 * short pause, longer each time it does not last.
 */
import { connect } from 'node:net'
import type { Channel, ChannelTarget } from '../link/replication-link.js'
import { DialledLink } from '../link/replication-link.js'
import type { ToFollower, ToPrimary } from '../shard/replication/messages.js'
import type { Conversation, Counterpart } from './conversation.js'

const PAUSE_MS_MIN = 20
const PAUSE_MS_MAX = 1_000
/** What lasted this long has worked: the next pause is the shortest again. */
const LASTING_MS = 2_000

/** A backup, as far as it follows. */
export interface Following {
  /** Begins a conversation; the one before is over. */
  follow(to: Counterpart<ToPrimary>): Conversation<ToFollower>
}

export interface DialerPorts {
  /** Milliseconds that never go back. */
  now(): number
  /** Uniform in [0, 1): spreads attempts that would come at once. */
  chance(): number
  /** A conversation or a connection has ended and will be begun anew. */
  onEnd(target: ChannelTarget | undefined, address: string, reason: string): void
}

/** Something that is begun again and again. */
interface Attempts {
  count: number
  begunAtMs: number
  timer: NodeJS.Timeout | undefined
}

interface Line {
  readonly address: string
  readonly talks: Set<Talk>
  readonly attempts: Attempts
  /** Undefined until the socket is connected, and after its end. */
  link: DialledLink | undefined
  isConnecting: boolean
}

interface Talk {
  readonly target: ChannelTarget
  readonly backup: Following
  readonly line: Line
  readonly attempts: Attempts
  channel: Channel<ToPrimary> | undefined
  conversation: Conversation<ToFollower> | undefined
}

export class ReplicationDialer {
  private readonly ports: DialerPorts
  private readonly lines = new Map<string, Line>()
  /** By shard. */
  private readonly talks = new Map<number, Talk>()
  private isDraining = false
  private onDrained: (() => void) | undefined

  constructor(ports: DialerPorts) {
    this.ports = ports
  }

  /** From now on the backup follows the primary at this address; nobody, without one. */
  follow(target: ChannelTarget, address: string | undefined, backup: Following): void {
    const talk = this.talks.get(target.shard)
    if (talk !== undefined && talk.backup === backup && talk.line.address === address) return
    this.leave(target.shard, 'another primary is followed')
    if (address === undefined || address === '') return
    const line = this.lineTo(address)
    const begun: Talk = {
      target,
      backup,
      line,
      attempts: newAttempts(),
      channel: undefined,
      conversation: undefined,
    }
    this.talks.set(target.shard, begun)
    line.talks.add(begun)
    if (line.link !== undefined) this.begin(begun)
    else this.connect(line)
  }

  /** The shard's backup follows nobody any more. */
  leave(shard: number, reason: string): void {
    const talk = this.talks.get(shard)
    if (talk === undefined) return
    this.talks.delete(shard)
    const { line } = talk
    line.talks.delete(talk)
    clearTimeout(talk.attempts.timer)
    this.endTalk(talk, reason)
    if (line.talks.size === 0) this.hangUp(line)
  }

  /** Begins nothing any more. Resolves when every primary has ended its conversation, or in time. */
  async drain(patienceMs: number): Promise<void> {
    this.isDraining = true
    if (!this.isTalking) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, patienceMs)
      this.onDrained = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  close(): void {
    for (const shard of this.talks.keys()) this.leave(shard, 'the child ends')
  }

  private get isTalking(): boolean {
    for (const { channel } of this.talks.values()) if (channel !== undefined) return true
    return false
  }

  private lineTo(address: string): Line {
    const known = this.lines.get(address)
    if (known !== undefined) return known
    const line: Line = {
      address,
      talks: new Set(),
      attempts: newAttempts(),
      link: undefined,
      isConnecting: false,
    }
    this.lines.set(address, line)
    return line
  }

  private hangUp(line: Line): void {
    this.lines.delete(line.address)
    clearTimeout(line.attempts.timer)
    // What was written, the ends of its channels, still leaves.
    line.link?.finish()
  }

  private connect(line: Line): void {
    if (line.isConnecting || line.link !== undefined || line.attempts.timer !== undefined) return
    line.isConnecting = true
    line.attempts.begunAtMs = this.ports.now()
    const socket = connect(line.address)
    const link = new DialledLink(socket, (error) => {
      this.onLineEnd(line, error?.message ?? 'closed')
    })
    socket.once('connect', () => {
      line.isConnecting = false
      // Nobody needs it any more.
      if (this.lines.get(line.address) !== line) return link.finish()
      line.link = link
      for (const talk of line.talks) this.begin(talk)
    })
  }

  private onLineEnd(line: Line, reason: string): void {
    line.link = undefined
    line.isConnecting = false
    if (this.lines.get(line.address) !== line) return
    this.ports.onEnd(undefined, line.address, reason)
    this.again(line.attempts, () => {
      this.connect(line)
    })
  }

  private begin(talk: Talk): void {
    const { link } = talk.line
    // The socket may have gone meanwhile: with the next one all conversations begin.
    if (link === undefined || talk.channel !== undefined || this.isDraining) return
    clearTimeout(talk.attempts.timer)
    talk.attempts.timer = undefined
    talk.attempts.begunAtMs = this.ports.now()
    const channel = link.open(talk.target, {
      onMessage: (message) => {
        if (talk.channel === channel) talk.conversation?.onMessage(message)
      },
      onEnd: (reason) => {
        if (talk.channel === channel) this.onTalkEnd(talk, reason)
      },
    })
    talk.channel = channel
    const conversation = talk.backup.follow({
      send: (message) => {
        channel.send(message)
      },
      broken: (reason) => {
        if (talk.channel === channel) this.onTalkEnd(talk, reason)
      },
    })
    // It may have broken at once.
    if (talk.channel === channel) talk.conversation = conversation
    else conversation.end()
  }

  /** Either side has ended the conversation, or the socket has. */
  private onTalkEnd(talk: Talk, reason: string): void {
    this.endTalk(talk, reason)
    this.ports.onEnd(talk.target, talk.line.address, reason)
    if (talk.line.link === undefined) return
    this.again(talk.attempts, () => {
      this.begin(talk)
    })
  }

  private endTalk(talk: Talk, reason: string): void {
    const { channel, conversation } = talk
    talk.channel = undefined
    talk.conversation = undefined
    channel?.end(reason)
    conversation?.end()
    if (this.isDraining && !this.isTalking) this.onDrained?.()
  }

  private again(attempts: Attempts, action: () => void): void {
    if (this.isDraining) return
    const isLasting = this.ports.now() - attempts.begunAtMs >= LASTING_MS
    attempts.count = isLasting ? 1 : attempts.count + 1
    clearTimeout(attempts.timer)
    attempts.timer = setTimeout(
      () => {
        attempts.timer = undefined
        action()
      },
      pauseAfter(attempts.count, this.ports.chance()),
    )
  }
}

function newAttempts(): Attempts {
  return { count: 0, begunAtMs: 0, timer: undefined }
}

/** Half of it is left to chance, so that not everybody comes at once. */
export function pauseAfter(attempts: number, chance: number): number {
  const pauseMs = Math.min(PAUSE_MS_MIN * 2 ** (attempts - 1), PAUSE_MS_MAX)
  return pauseMs * (0.5 + chance / 2)
}
