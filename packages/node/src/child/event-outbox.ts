/**
 * Gathers what a connection's watches are to be told, until the turn ends or a message is full.
 *
 * News that concern several watches of the connection travel once, with all their ids: an item is
 * held back until it is known whether the next one is the same for another watch.
 */
import { setImmediate as atTurnsEnd } from 'node:timers'
import type { WireEvent } from '@kv/protocol'
import { MESSAGE_TAGS, WireWriter, writeEvent } from '@kv/protocol'

/** A message of this size leaves; one item may pass it. */
const MESSAGE_BYTES_SOFT = 65_536
const HEADROOM_BYTES = 32
/** Ids that one item carries at most. */
const ITEM_IDS_MAX = 4_096

/** An item without its ids: `WireEvent` with what is added last left open. */
export type EventBody<Event extends WireEvent = WireEvent> = Event extends WireEvent
  ? Omit<Event, 'ids'>
  : never

/** Memory for what goes in front, of one message at a time. */
const front = new WireWriter()

export class EventOutbox {
  private readonly child: number
  private readonly send: (message: Uint8Array) => void
  private writer: WireWriter | undefined
  private itemCount = 0
  private isFlushDue = false
  /** The item held back, and what tells that the next one is the same. */
  private token: unknown
  private body: EventBody | undefined
  private ids: number[] = []

  constructor(child: number, send: (message: Uint8Array) => void) {
    this.child = child
    this.send = send
  }

  /** Bytes that have not left. */
  get bytes(): number {
    return this.writer === undefined ? 0 : this.writer.position - HEADROOM_BYTES
  }

  /**
   * Tells the watch `id`. `token` is one and the same object for what is the same news; `bodyOf` is
   * asked once for it, and what it returns is used before the turn of the event loop goes on.
   */
  tell(id: number, token: object, bodyOf: () => EventBody): void {
    if (this.token === token && this.ids.length < ITEM_IDS_MAX) {
      this.ids.push(id)
      return
    }
    this.writeHeld()
    this.token = token
    this.body = bodyOf()
    this.ids.push(id)
    if (this.isFlushDue) return
    this.isFlushDue = true
    atTurnsEnd(() => {
      this.isFlushDue = false
      this.flush()
    })
  }

  /** Writes the item held back: what it refers to may change from now on. */
  settle(): void {
    this.writeHeld()
  }

  private writeHeld(): void {
    const { body } = this
    if (body === undefined) return
    this.writer ??= new WireWriter(0, HEADROOM_BYTES)
    writeEvent(this.writer, { ...body, ids: this.ids } as WireEvent)
    this.itemCount += 1
    this.token = undefined
    this.body = undefined
    this.ids = []
    if (this.bytes >= MESSAGE_BYTES_SOFT) this.sendMessage()
  }

  flush(): void {
    this.writeHeld()
    if (this.itemCount > 0) this.sendMessage()
  }

  private sendMessage(): void {
    const { writer, itemCount } = this
    if (writer === undefined) return
    this.writer = undefined
    this.itemCount = 0
    const countBytes = itemCount < 16 ? 1 : itemCount < 0x1_0000 ? 3 : 5
    front.position = 0
    front.array(3)
    front.integer(MESSAGE_TAGS.event)
    front.integer(this.child)
    front.binaryHeader(countBytes + writer.position - HEADROOM_BYTES)
    front.array(itemCount)
    this.send(writer.writtenBehind(front, HEADROOM_BYTES))
  }
}
