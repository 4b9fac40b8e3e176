/**
 * One connection to a node, made again whenever it is lost.
 *
 *     idle ──open──▶ dialing ──▶ greeting ──WELCOME──▶ ready
 *      ▲                ▲  └────────┴───── fails ──┐     │ lost
 *      │ nobody waits   └── after a while ── waiting ◀───┘
 *      └───────────────────────────────────────┘         ended: closed, or refused for good
 *
 * It dials the hosts in turn, says HELLO with the identity of the connection before, and notices
 * silence. It knows nothing of calls: what was unanswered when it was lost is the session's affair.
 */
import type { ClientMessage, NodeMessage, Welcome } from '@kv/protocol'
import {
  CLOSE_CODES,
  decodeNodeMessage,
  encodeClientMessage,
  KvError,
  PROTOCOL_VERSION,
  protocolError,
} from '@kv/protocol'
import type { Clock } from '../clock.js'
import type { Delays } from './backoff.js'
import { backoffMs } from './backoff.js'
import { endError, failureError, isFinal, silenceError, versionError } from './connection-end.js'
import { judgeSilence, SILENCE_MS_MAX } from './liveness.js'
import type { OpenTransport, Transport } from './transport.js'

/** Longest time from dialing a host to its WELCOME. */
export const DIAL_MS_MAX = 5_000

/** A connection that lived this long was a good one: the next failure is the first in a row. */
const STABLE_MS_MIN = 1_000

export interface ConnectionSettings {
  /** WebSocket addresses, tried in turn; at least one. */
  readonly urls: readonly string[]
  readonly token: string
  readonly name: string
  readonly reconnectDelays: Delays
}

export interface ConnectionSurroundings {
  readonly clock: Clock
  /** From 0 to below 1. */
  readonly random: () => number
  readonly openTransport: OpenTransport
}

export interface ConnectionEvents {
  onReady(welcome: Welcome): void
  /** After WELCOME. What it throws as a `KvError` ends the connection. */
  onMessage(message: NodeMessage): void
  /** It was ready, and is not any more. */
  onLost(error: KvError): void
  /** Every host was tried once, in vain. */
  onUnreachable(error: KvError): void
  /** The next attempt follows after `delayMs`. */
  onWaiting(attempt: number, delayMs: number, error: KvError): void
  /** It gave up for good. */
  onEnded(error: KvError): void
  /** Whether an answer is due: then silence means something. */
  isAnswerDue(): boolean
}

export type ConnectionState = 'idle' | 'dialing' | 'greeting' | 'ready' | 'waiting' | 'ended'

/** Who the node takes this client for, and what proves it. */
export interface Identity {
  readonly clientId: number
  readonly secret: Uint8Array
}

const NO_IDENTITY: Identity = { clientId: 0, secret: new Uint8Array(0) }

export class Connection {
  state: ConnectionState = 'idle'
  /** Whether it was ready at any time. */
  wasEverReady = false
  private readonly settings: ConnectionSettings
  private readonly surroundings: ConnectionSurroundings
  private readonly events: ConnectionEvents
  private transport: Transport | undefined = undefined
  private timer: unknown
  private knownAs: Identity
  private hostIndex = 0
  /** Hosts tried since the last connection or wait. */
  private hostsTried = 0
  private failures = 0
  private readyAt = 0
  private heardAt = 0
  private pingedAt: number | undefined = undefined
  private nonce = 0

  constructor(
    settings: ConnectionSettings,
    surroundings: ConnectionSurroundings,
    events: ConnectionEvents,
    identity: Identity = NO_IDENTITY,
  ) {
    this.knownAs = identity
    this.settings = settings
    this.surroundings = surroundings
    this.events = events
  }

  /** Of the last WELCOME. */
  get identity(): Identity {
    return this.knownAs
  }

  /** The host that it is connected to, or tries. */
  get url(): string {
    return this.settings.urls[this.hostIndex]!
  }

  /** Begins to connect, if it has not begun. */
  open(): void {
    if (this.state === 'idle') this.dial()
  }

  /** Only while ready. */
  send(bytes: Uint8Array): void {
    this.transport?.send(bytes)
  }

  /** Ends it for good; no event follows. */
  end(): void {
    this.state = 'ended'
    this.leave((transport) => {
      transport.close(1000, '')
    })
  }

  private dial(): void {
    this.state = 'dialing'
    const { url } = this
    this.setTimer(DIAL_MS_MAX, () => {
      this.breakOff(silenceError(url, `did not answer within ${DIAL_MS_MAX} ms`))
    })
    let transport: Transport
    try {
      transport = this.surroundings.openTransport(url, {
        onOpen: () => {
          if (this.transport === transport) this.greet()
        },
        onMessage: (bytes) => {
          if (this.transport === transport) this.onBytes(bytes)
        },
        onClose: (end) => {
          if (this.transport !== transport) return
          this.onDown(endError(end, url, this.state === 'ready'))
        },
      })
      this.transport = transport
    } catch (error) {
      this.onDown(endError({ code: 1006, reason: '', error: error as Error }, url, false))
    }
  }

  private greet(): void {
    this.state = 'greeting'
    const { token, name } = this.settings
    const { identity } = this
    this.sendMessage({
      type: 'hello',
      protocolVersion: PROTOCOL_VERSION,
      ...identity,
      token,
      name,
    })
  }

  private sendMessage(message: ClientMessage): void {
    this.transport?.send(encodeClientMessage(message))
  }

  private onBytes(bytes: Uint8Array): void {
    this.heardAt = this.surroundings.clock.now()
    this.pingedAt = undefined
    try {
      const message = decodeNodeMessage(bytes)
      if (message.type === 'failure') this.breakOff(failureError(message, this.url))
      else if (this.state === 'ready') this.onReadyMessage(message)
      else this.onGreeting(message)
    } catch (error) {
      if (!(error instanceof KvError)) throw error
      this.breakOff(error, CLOSE_CODES.protocol)
    }
  }

  private onReadyMessage(message: NodeMessage): void {
    if (message.type === 'pong') return
    if (message.type === 'welcome') throw protocolError('a second WELCOME')
    this.events.onMessage(message)
  }

  private onGreeting(message: NodeMessage): void {
    if (message.type !== 'welcome') throw protocolError(`${message.type} before WELCOME`)
    if (message.protocolVersion !== PROTOCOL_VERSION) {
      throw versionError(message.protocolVersion, this.url)
    }
    // A copy, as `slice` of a Buffer is none: the bytes are a view of the message's memory.
    this.knownAs = { clientId: message.clientId, secret: Uint8Array.from(message.secret) }
    this.state = 'ready'
    this.wasEverReady = true
    this.hostsTried = 0
    this.readyAt = this.heardAt
    this.setTimer(SILENCE_MS_MAX, () => {
      this.checkLiveness()
    })
    this.events.onReady(message)
  }

  private checkLiveness(): void {
    const now = this.surroundings.clock.now()
    const { heardAt, pingedAt } = this
    const isAnswerDue = this.events.isAnswerDue()
    const step = judgeSilence({ now, heardAt, pingedAt, isAnswerDue })
    if (step.kind === 'lost') {
      this.breakOff(silenceError(this.url, 'is silent, although answers are due'))
      return
    }
    if (step.kind === 'ping') {
      this.pingedAt = now
      this.nonce += 1
      this.sendMessage({ type: 'ping', nonce: this.nonce })
    }
    this.setTimer(step.until - now, () => {
      this.checkLiveness()
    })
  }

  /** Ends this connection from our side, for `error`. */
  private breakOff(error: KvError, closeCode?: number): void {
    if (this.state === 'ended') return
    this.leave((transport) => {
      if (closeCode === undefined) transport.drop()
      else transport.close(closeCode, error.message.slice(0, 40))
    })
    this.onDown(error)
  }

  /** Lets go of the transport: nothing it says is heard from now on. */
  private leave(farewell: (transport: Transport) => void): void {
    const { transport } = this
    this.transport = undefined
    this.clearTimer()
    if (transport !== undefined) farewell(transport)
  }

  private onDown(error: KvError): void {
    const wasReady = this.state === 'ready'
    this.transport = undefined
    this.clearTimer()
    if (isFinal(error, wasReady)) {
      this.state = 'ended'
      this.events.onEnded(error)
    } else if (wasReady) {
      this.onLost(error)
    } else {
      this.onDialFailed(error)
    }
  }

  private onLost(error: KvError): void {
    const livedMs = this.surroundings.clock.now() - this.readyAt
    if (livedMs >= STABLE_MS_MIN) this.failures = 0
    this.state = 'waiting'
    this.events.onLost(error)
    this.wait(error)
  }

  private onDialFailed(error: KvError): void {
    this.hostIndex = (this.hostIndex + 1) % this.settings.urls.length
    this.hostsTried += 1
    if (this.hostsTried < this.settings.urls.length) {
      this.dial()
      return
    }
    this.hostsTried = 0
    this.state = 'waiting'
    this.events.onUnreachable(error)
    this.wait(error)
  }

  private wait(error: KvError): void {
    // Whoever heard of the failure may have ended it.
    if (this.state !== 'waiting') return
    const { reconnectDelays } = this.settings
    const delayMs = backoffMs(reconnectDelays, this.failures, this.surroundings.random)
    this.failures += 1
    this.setTimer(delayMs, () => {
      this.onWaitOver()
    })
    this.events.onWaiting(this.failures, delayMs, error)
  }

  /** A client that has never found its node does not go on looking if nobody waits for it. */
  private onWaitOver(): void {
    if (this.wasEverReady || this.events.isAnswerDue()) this.dial()
    else this.state = 'idle'
  }

  private setTimer(ms: number, wake: () => void): void {
    this.clearTimer()
    this.timer = this.surroundings.clock.setTimer(wake, ms)
  }

  private clearTimer(): void {
    if (this.timer !== undefined) this.surroundings.clock.clearTimer(this.timer)
    this.timer = undefined
  }
}
