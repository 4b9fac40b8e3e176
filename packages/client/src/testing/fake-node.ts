/**
 * A node in the process of the test: it speaks the protocol through scripted transports, keeps
 * what it received, and answers at once, later or wrongly, as the test says.
 */
import type {
  Batch,
  Call,
  Fault,
  Hello,
  NodeLimits,
  NodeMessage,
  Topology,
  Credit,
  Unwatch,
  Watch,
} from '@kv/protocol'
import {
  BatchBody,
  CLOSE_CODES,
  decodeClientMessage,
  encodeMessage,
  ERROR_RULES,
  isReadCall,
  MOVED,
  NO_CHILD,
  PROTOCOL_VERSION,
  writeFault,
  WireWriter,
  writePartReplyHead,
  writeFullReplyHead,
} from '@kv/protocol'
import type { OpenTransport, Transport, TransportEvents } from '../connection/transport.js'
import { FakeStore } from './fake-store.js'

const MOVED_FAULT: Fault = { code: MOVED, outcome: 'not-applied', message: '' }

/** Ports from here on are those of children. */
export const DIRECT_PORT_MIN = 7_500

export interface ReceivedBatch {
  readonly batch: Batch
  /** The connection that it came by. */
  readonly link: FakeLink
  readonly kind: BatchBody['kind']
  readonly lowWater: number
  readonly calls: readonly Call[]
  readonly sequences: readonly number[]
}

/** One connection of a client, seen from the node. */
export class FakeLink {
  readonly url: string
  readonly events: TransportEvents
  isOpen = true
  /** What the client sends is lost: it has not heard yet that the connection is gone. */
  isDeaf = false
  closeCode: number | undefined = undefined
  hello: Hello | undefined = undefined
  clientId = 0
  pings = 0

  constructor(url: string, events: TransportEvents) {
    this.url = url
    this.events = events
  }

  /** Arrives in a later turn of the event loop, as from a network. */
  send(message: NodeMessage): void {
    this.sendBytes(encodeMessage(message))
  }

  sendBytes(bytes: Uint8Array): void {
    setImmediate(() => {
      if (this.isOpen) this.events.onMessage(bytes)
    })
  }

  close(code: number, reason: string = ''): void {
    setImmediate(() => {
      if (!this.isOpen) return
      this.isOpen = false
      this.events.onClose({ code, reason })
    })
  }
}

export class FakeNode {
  readonly store: FakeStore
  readonly links: FakeLink[] = []
  readonly batches: ReceivedBatch[] = []
  /** What the client said about watches. */
  readonly watching: (Watch | Credit | Unwatch)[] = []
  topology: Topology
  /** By shard: the version of the topology that made its primary what it is. */
  private readonly servedSince: number[]
  clusterId = 'cluster'
  limits: NodeLimits = {
    valueBytesMax: 1_048_576,
    messageBytesMax: 1_310_720,
    inFlightBytesMax: 8_388_608,
  }
  /** Whether backups are in sync, and answer replica reads. */
  areBackupsInSync = true
  /** Whether connections are accepted; else they fail at once. */
  isUp = true
  /** Whether WELCOME is given. */
  isWelcoming = true
  /** Whether pings are answered. */
  isAlive = true
  /** Keeps batches instead of answering them, until `answerHeld`. */
  isHolding = false
  /** A fault in place of executing the call. */
  faultOf: (call: Call, batch: Batch) => Fault | undefined = () => undefined
  private readonly held: (() => void)[] = []
  private readonly unanswered: ReceivedBatch[] = []
  /** By client and sequence number: the encoded answers of the writes that were executed. */
  private readonly sessions = new Map<string, Uint8Array>()
  private nextPort = DIRECT_PORT_MIN
  private nextClientId = 1
  private oldestClientId = 1

  constructor(shardCount: number = 4, children: number = 1) {
    this.store = new FakeStore(shardCount)
    this.topology = {
      version: 1,
      shardCount,
      children: Array.from({ length: children }, (_, index) => ({ id: index + 1, port: 0 })),
      primaries: Array.from({ length: shardCount }, (_, shard) => 1 + (shard % children)),
      epochs: Array.from({ length: shardCount }, () => 1),
      backups: [],
    }
    this.servedSince = Array.from({ length: shardCount }, () => 1)
  }

  /** The newest connection to the coordinator. */
  get link(): FakeLink {
    return this.links.findLast((link) => !this.isDirect(link))!
  }

  isDirect({ url }: FakeLink): boolean {
    return Number(new URL(url).port) >= DIRECT_PORT_MIN
  }

  /** From now on children listen, each on a port that nobody had before. */
  listen(): void {
    const { topology } = this
    const children = topology.children.map(({ id }) => ({ id, port: (this.nextPort += 1) }))
    this.topology = { ...topology, version: topology.version + 1, children }
    this.tell()
  }

  /** Children end their connections; what came by them may still be executed. */
  cutDirect(): void {
    for (const link of this.links) {
      if (!this.isDirect(link)) continue
      link.isDeaf = true
      link.close(1006)
    }
  }

  readonly openTransport: OpenTransport = (url, events) => {
    const link = new FakeLink(url, events)
    this.links.push(link)
    if (this.isUp) setImmediate(() => link.isOpen && events.onOpen())
    else link.close(1006, 'nobody listens')
    return this.transportOf(link)
  }

  private transportOf(link: FakeLink): Transport {
    const end = (code: number): void => {
      link.isOpen = false
      link.closeCode = code
    }
    return {
      send: (bytes) => {
        if (!link.isDeaf) this.onBytes(link, bytes)
      },
      close: end,
      drop: () => {
        end(1006)
      },
    }
  }

  private onBytes(link: FakeLink, bytes: Uint8Array): void {
    // A copy, so that a client that reuses memory too early is found out.
    const message = decodeClientMessage(Uint8Array.from(bytes))
    switch (message.type) {
      case 'hello':
        link.hello = message
        if (this.isWelcoming) this.welcome(link)
        return
      case 'ping':
        link.pings += 1
        if (this.isAlive) link.send({ type: 'pong', nonce: message.nonce })
        return
      case 'batch':
        this.onBatch(link, message)
        return
      case 'watch':
      case 'credit':
      case 'unwatch':
        this.watching.push(message)
    }
  }

  private welcome(link: FakeLink): void {
    const shown = link.hello?.clientId ?? 0
    const former = shown < this.oldestClientId ? 0 : shown
    link.clientId = former === 0 ? this.nextClientId++ : former
    link.send({
      type: 'welcome',
      protocolVersion: PROTOCOL_VERSION,
      clusterId: this.clusterId,
      clientId: link.clientId,
      secret: Uint8Array.of(7, 7),
      limits: this.limits,
      topology: this.topology,
    })
  }

  private onBatch(link: FakeLink, batch: Batch): void {
    const body = new BatchBody(batch.body)
    const calls = Array.from({ length: body.callCount }, () => body.next())
    const sequences = calls.map((_, position) => body.sequenceAt(position))
    const received = { batch, link, kind: body.kind, lowWater: body.lowWater, calls, sequences }
    this.batches.push(received)
    if (this.isHolding) {
      this.unanswered.push(received)
      this.held.push(() => {
        this.answer(received)
      })
    } else {
      this.answer(received)
    }
  }

  /** Answers the held batches, in the order they came. */
  answerHeld(): void {
    this.isHolding = false
    this.unanswered.length = 0
    for (const answer of this.held.splice(0)) answer()
  }

  /** Executes the held batches; nobody hears of it. */
  loseReplies(): void {
    this.isHolding = false
    for (const received of this.unanswered.splice(0)) {
      const { calls, sequences, link } = received
      const { clientId } = link
      const lost = new WireWriter()
      for (const [index, call] of calls.entries()) {
        this.writeAnswer(lost, call, received, { clientId, sequence: sequences[index]! })
      }
    }
    this.held.length = 0
  }

  /** The children die: what they held is refused, executed or not, and all shards move. */
  die(isExecuted: boolean): void {
    const refused = this.unanswered.slice()
    if (isExecuted) this.loseReplies()
    this.dropHeld()
    this.isHolding = false
    const { wire: code } = ERROR_RULES.UNAVAILABLE
    for (const { batch, link } of refused) {
      link.send({ type: 'refused', batchId: batch.id, code, outcome: 2, message: 'it died' })
    }
    this.move(Object.fromEntries(this.topology.primaries.entries()))
  }

  /** From the next connection on nobody is known. */
  forgetClients(): void {
    this.oldestClientId = this.nextClientId
  }

  /** Forgets the held batches. */
  dropHeld(): void {
    this.unanswered.length = 0
    this.held.length = 0
  }

  answer(received: ReceivedBatch): void {
    const { batch, link, calls, sequences } = received
    const writer = new WireWriter()
    writeFullReplyHead(writer, calls.length)
    const { clientId } = link
    for (const [index, call] of calls.entries()) {
      this.writeAnswer(writer, call, received, { clientId, sequence: sequences[index]! })
    }
    link.send({ type: 'reply', batchId: batch.id, final: true, body: writer.written() })
  }

  /** Answers some calls of a batch. */
  answerPart(received: ReceivedBatch, positions: readonly number[], final: boolean): void {
    const { batch, link, calls, sequences } = received
    const { clientId } = link
    const writer = new WireWriter()
    writePartReplyHead(writer, positions)
    for (const position of positions) {
      const sequence = sequences[position]!
      this.writeAnswer(writer, calls[position]!, received, { clientId, sequence })
    }
    link.send({ type: 'reply', batchId: batch.id, final, body: writer.written() })
  }

  private writeAnswer(
    writer: WireWriter,
    call: Call,
    { batch, kind }: ReceivedBatch,
    from: { readonly clientId: number; readonly sequence: number },
  ): void {
    const shard = this.store.shardOfCall(call)
    // A batch routed before the shard went away and came back may have left earlier writes behind,
    // as MOVED: to execute it would change the order.
    const isPrimary =
      this.topology.primaries[shard] === batch.child &&
      batch.topologyVersion >= (this.servedSince[shard] ?? 0)
    const isBackup = this.topology.backups[shard]?.includes(batch.child) === true
    const isServed = isPrimary || (kind === 'replicaReads' && isBackup && this.areBackupsInSync)
    const fault = this.faultOf(call, batch) ?? (isServed ? undefined : MOVED_FAULT)
    if (fault === undefined) this.executeOnce(writer, call, `${from.clientId} ${from.sequence}`)
    else writeFault(writer, fault)
  }

  private executeOnce(writer: WireWriter, call: Call, session: string): void {
    const first = this.sessions.get(session)
    if (first !== undefined) {
      writer.raw(first)
      return
    }
    const start = writer.position
    this.store.execute(call, writer)
    if (isReadCall(call)) return
    this.sessions.set(session, Uint8Array.from(writer.written(start)))
  }

  /** Changes the primaries of some shards; with `isTold` the client hears of it. */
  move(primaries: Readonly<Record<number, number>>, isTold: boolean = true): void {
    const { topology } = this
    this.topology = {
      ...topology,
      version: topology.version + 1,
      primaries: topology.primaries.map((child, shard) => primaries[shard] ?? child),
      epochs: topology.epochs.map((epoch, shard) => epoch + (shard in primaries ? 1 : 0)),
    }
    for (const shard of Object.keys(primaries))
      this.servedSince[Number(shard)] = topology.version + 1
    if (isTold) this.tell()
  }

  /** Gives shards backups; with `isTold` the client hears of it. */
  back(backups: Readonly<Record<number, readonly number[]>>, isTold: boolean = true): void {
    const { topology } = this
    this.topology = {
      ...topology,
      version: topology.version + 1,
      backups: topology.primaries.map((_, shard) => backups[shard] ?? []),
    }
    if (isTold) this.tell()
  }

  /** From the next connection on it is the node of another cluster. */
  become(clusterId: string, topology: Topology): void {
    this.clusterId = clusterId
    this.topology = topology
    this.store.shardCount = topology.shardCount
    this.servedSince.fill(topology.version)
  }

  /** Sends the topology. */
  tell(): void {
    this.link.send({ type: 'topology', topology: this.topology })
  }

  /** The connection breaks. */
  cut(code: number = CLOSE_CODES.restart, reason: string = ''): void {
    this.link.isDeaf = true
    this.link.close(code, reason)
  }

  /** Takes the primary of a shard away. */
  orphan(shard: number, isTold: boolean = true): void {
    this.move({ [shard]: NO_CHILD }, isTold)
  }
}
