/**
 * The direct connections of a client, one for each child that listens for them (ADR 0025).
 *
 * They are chosen by themselves: a child that gets batches is dialled, and from then on what goes to it
 * goes there. A child that can't be reached is served through the coordinator.
 */
import type { NodeMessage, Topology } from '@kv/protocol'
import { KvError } from '@kv/protocol'
import type { Identity, ConnectionSurroundings } from './connection.js'
import type { DirectLinkPorts } from './direct-link.js'
import { DirectLink } from './direct-link.js'
import { LeftBehind } from './left-behind.js'

/** A program of a few calls opens one connection. */
const BATCHES_BEFORE = 16

export interface DirectSettings {
  readonly token: string
  readonly name: string
  /** `true`: nothing goes through the coordinator but what belongs there. */
  readonly direct: 'auto' | boolean
  /** Batches that go to a child through the coordinator before it is dialled. */
  readonly batchesBefore?: number | undefined
}

/** Where the coordinator was found, and whom it took this client for. */
export interface Welcomed {
  readonly url: string
  readonly clusterId: string
  readonly identity: Identity
}

/** How batches come to children otherwise than through the coordinator. */
export interface DirectWays {
  /** Whether it took the batch. */
  send(child: number, bytes: Uint8Array): boolean
  isReady(child: number): boolean
  /** Whether batches for the child must wait for its direct connection. */
  isAwaited(child: number): boolean
  /** Why they wait, if they do. */
  whyAwaited(child: number | undefined): KvError | undefined
  /** Bytes that the way to the child counts, beside what is in flight. */
  bytesBehind(child: number): number
  /** Also of what came through the coordinator. */
  onMessage(message: NodeMessage): void
  onWelcome(welcomed: Welcomed): void
  onTopology(topology: Topology): void
  end(): void
}

export type OpenDirectWays = (ports: DirectLinkPorts) => DirectWays

export class DirectLinks implements DirectWays {
  private readonly settings: DirectSettings
  private readonly surroundings: ConnectionSurroundings
  private readonly ports: DirectLinkPorts
  private readonly links = new Map<number, DirectLink>()
  private readonly leftBehind = new LeftBehind()
  private welcomed: Welcomed | undefined = undefined

  constructor(
    settings: DirectSettings,
    surroundings: ConnectionSurroundings,
    ports: DirectLinkPorts,
  ) {
    this.settings = settings
    this.surroundings = surroundings
    this.ports = {
      onMessage: (message) => ports.onMessage(message),
      onWayChanged: (child, error) => {
        const former = ports.onWayChanged(child, error)
        // The way that ends takes along what was on it; the one through the coordinator does not end.
        if (this.isReady(child)) this.leftBehind.add(former)
        ports.proceed()
        return former
      },
      proceed: () => ports.proceed(),
      isAnswerDue: (child) => ports.isAnswerDue(child),
    }
  }

  send(child: number, bytes: Uint8Array): boolean {
    return this.links.get(child)?.send(bytes) === true
  }

  isReady(child: number): boolean {
    return this.links.get(child)?.isReady === true
  }

  isAwaited(child: number): boolean {
    return this.settings.direct === true && !this.isReady(child)
  }

  whyAwaited(child: number | undefined): KvError | undefined {
    if (child === undefined || !this.isAwaited(child)) return undefined
    const link = this.links.get(child)
    if (link !== undefined) return link.failure
    const message = `child ${child} takes no direct connection; direct: 'auto' reaches it all the same`
    return new KvError('UNAVAILABLE', message)
  }

  bytesBehind(child: number): number {
    return this.isReady(child) ? 0 : this.leftBehind.bytes
  }

  onMessage(message: NodeMessage): void {
    this.leftBehind.onMessage(message)
  }

  onWelcome(welcomed: Welcomed): void {
    const former = this.welcomed
    this.welcomed = welcomed
    this.leftBehind.clear()
    const { clientId } = welcomed.identity
    if (former?.clusterId === welcomed.clusterId && former.identity.clientId === clientId) return
    // What they have not answered can't be asked for again: its owner has to hear of it.
    for (const [child, link] of this.links)
      this.drop(child, link, 'the client has another identity')
  }

  onTopology({ children }: Topology): void {
    const urls = new Map(children.map(({ id, port }) => [id, this.urlOf(port)]))
    for (const [child, link] of this.links) {
      const isElsewhere = link.target.url !== urls.get(child)
      // Whoever was there before, the child may have the port now.
      if (isElsewhere || link.isOver) this.drop(child, link, `child ${child} is not where it was`)
    }
    for (const [child, url] of urls) if (url !== undefined) this.add(child, url)
  }

  /** A token must not travel in the clear, where the way to the coordinator is encrypted. */
  private urlOf(port: number): string | undefined {
    if (port === 0 || this.welcomed === undefined) return undefined
    const url = new URL(this.welcomed.url)
    if (url.protocol !== 'ws:') return undefined
    url.port = String(port)
    url.pathname = '/'
    return url.href
  }

  private add(child: number, url: string): void {
    if (this.links.has(child)) return
    const { token, name, batchesBefore = BATCHES_BEFORE } = this.settings
    const { clusterId, identity } = this.welcomed!
    const target = { child, url, token, name, clusterId, identity, batchesBefore }
    const link = new DirectLink(target, this.surroundings, this.ports)
    this.links.set(child, link)
    if (this.settings.direct === true) link.open()
  }

  private drop(child: number, link: DirectLink, why: string): void {
    const wasReady = link.isReady
    this.links.delete(child)
    link.end()
    if (wasReady) this.ports.onWayChanged(child, new KvError('UNAVAILABLE', why))
  }

  end(): void {
    for (const link of this.links.values()) link.end()
    this.links.clear()
  }
}
