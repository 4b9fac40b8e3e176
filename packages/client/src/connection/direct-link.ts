/**
 * A connection straight to one child. It has the identity that the coordinator gave this client, and
 * carries batches and their answers; everything else goes through the coordinator.
 */
import type { NodeMessage, Welcome } from '@kv/protocol'
import { KvError, protocolError } from '@kv/protocol'
import type { Identity, ConnectionEvents, ConnectionSurroundings } from './connection.js'
import { Connection } from './connection.js'
import type { SentBatch } from './left-behind.js'

/** What can't be reached, behind a firewall say, is tried ever more rarely. */
const REDIAL_DELAYS = { baseMs: 200, maxMs: 60_000 } as const

export interface DirectTarget {
  readonly child: number
  readonly url: string
  readonly token: string
  readonly name: string
  readonly clusterId: string
  readonly identity: Identity
  /** Batches that go through the coordinator before the child is dialled. */
  readonly batchesBefore: number
}

export interface DirectLinkPorts {
  onMessage(message: NodeMessage): void
  /**
   * It is ready, or is not any more: what was sent to the child by the other way, which is returned,
   * comes this one with the next `proceed`.
   */
  onWayChanged(child: number, error: KvError): readonly SentBatch[]
  proceed(): void
  isAnswerDue(child: number): boolean
}

export class DirectLink implements ConnectionEvents {
  readonly target: DirectTarget
  isReady = false
  /** It was refused, or found somebody else there: it does not try again. */
  isOver = false
  /** Why it is not ready, as far as that is known. */
  failure: KvError | undefined = undefined
  private readonly ports: DirectLinkPorts
  private readonly connection: Connection
  private relayedBatches = 0

  constructor(target: DirectTarget, surroundings: ConnectionSurroundings, ports: DirectLinkPorts) {
    this.target = target
    this.ports = ports
    const { url, token, name, identity } = target
    const settings = { urls: [url], token, name, reconnectDelays: REDIAL_DELAYS }
    this.connection = new Connection(settings, surroundings, this, identity)
  }

  open(): void {
    this.connection.open()
  }

  /** Whether it took the batch; if not, it goes through the coordinator. */
  send(bytes: Uint8Array): boolean {
    if (this.isReady) {
      this.connection.send(bytes)
      return true
    }
    this.relayedBatches += 1
    if (this.relayedBatches >= this.target.batchesBefore) this.open()
    return false
  }

  end(): void {
    this.isReady = false
    this.connection.end()
  }

  onReady({ clusterId, clientId }: Welcome): void {
    const { target } = this
    // Somebody else listens where the child did.
    if (clusterId !== target.clusterId || clientId !== target.identity.clientId) {
      this.isOver = true
      this.failure = new KvError('UNAVAILABLE', `${target.url} is not child ${target.child}`)
      this.connection.end()
      return
    }
    this.isReady = true
    this.failure = undefined
    this.ports.onWayChanged(
      target.child,
      new KvError('UNAVAILABLE', 'the call moved to a direct connection'),
    )
  }

  onMessage(message: NodeMessage): void {
    if (message.type !== 'reply' && message.type !== 'refused') {
      throw protocolError(`${message.type} on a direct connection`)
    }
    this.ports.onMessage(message)
  }

  onLost(error: KvError): void {
    this.isReady = false
    this.failure = error
    this.ports.onWayChanged(this.target.child, error)
  }

  onEnded(error: KvError): void {
    this.isOver = true
    this.failure = error
    if (this.isReady) this.onLost(error)
  }

  /** The way through the coordinator stays open, so there is nobody to tell. */
  onUnreachable(error: KvError): void {
    this.failure = error
  }

  onWaiting(): void {}

  isAnswerDue(): boolean {
    return this.isReady && this.ports.isAnswerDue(this.target.child)
  }
}
