/**
 * The messages of replication (`shard/replication/messages.ts`) as bytes: one row per message.
 *
 * Frames and what is said per frame are binary; the rest is said once per conversation and is JSON.
 * Decoding is strict: what is not exactly a message throws, and the socket it came from ends.
 */
import type { EpochStart } from '../shard/log/epoch-table.js'
import { EPOCH_STARTS_MAX, isEpochTable } from '../shard/log/epoch-table.js'
import { decodeFrame, FRAME_HEADER_BYTES, writeFrameHeader } from '../shard/log/frame.js'
import type { FrameSlab } from '../shard/log/frame-slab.js'
import { FRAME_BYTES_MAX } from '../shard/log/options.js'
import type { LogPosition } from '../shard/log/position.js'
import type { ToFollower, ToPrimary } from '../shard/replication/messages.js'
import type { SnapshotBegin, SnapshotEnd } from '../shard/snapshot/parts.js'
import { frameHeader, FRAME_HEADER_BYTES as LINK_HEADER_BYTES } from './frame-socket.js'
import type { ReceivedFrame } from './frame-socket.js'

/** The longest message: a frame of a log, and what goes before it. */
export const MESSAGE_BYTES_MAX: number = FRAME_BYTES_MAX + 4_096
/** A full epoch table has a quarter of this. */
const JSON_BYTES_MAX = 65_536
const REASON_CHARS_MAX = 1_000

export interface EncodedMessage {
  readonly header: Buffer
  /** Goes behind the header, and must not change until it has left. */
  readonly bytes?: Uint8Array
}

interface Row<Message> {
  readonly tag: number
  encode(lane: number, message: Message): EncodedMessage
  /** `memory` is where a frame that the message carries is to live. */
  decode(from: ReceivedFrame, memory: FrameSlab): Message
}

type Rows<Message extends { readonly type: string }> = {
  readonly [Type in Message['type']]: Row<Extract<Message, { type: Type }>>
}

/** Both ways between one kind of message and bytes. */
export class Codec<Message extends { readonly type: string }> {
  private readonly rows: Rows<Message>
  private readonly byTag = new Map<number, Row<Message>>()

  constructor(rows: Rows<Message>) {
    this.rows = rows
    for (const row of Object.values(rows as object) as Row<Message>[]) {
      if (this.byTag.has(row.tag)) throw new Error(`two messages have the tag ${row.tag}`)
      this.byTag.set(row.tag, row)
    }
  }

  encode(lane: number, message: Message): EncodedMessage {
    const row = this.rows[message.type as Message['type']] as unknown as Row<Message>
    return row.encode(lane, message)
  }

  /** Throws what ends the socket. */
  decode(from: ReceivedFrame, memory: FrameSlab): Message {
    const row = this.byTag.get(from.type)
    if (row === undefined) throw new Error(`no message has type ${from.type}`)
    return row.decode(from, memory)
  }
}

type Fields<Message> = {
  readonly [Name in Exclude<keyof Message, 'type'>]: (value: unknown) => boolean
}

function json<Message extends { readonly type: string }>(
  tag: number,
  type: Message['type'],
  fields: Fields<Message>,
): Row<Message> {
  const checks = Object.entries<(value: unknown) => boolean>(fields)
  return {
    tag,
    encode: (lane, message) => encodeJson(tag, lane, message),
    decode: (from) => {
      const message = decodeJson(from)
      for (const [name, isSound] of checks) {
        if (!isSound(message[name])) throw new Error(`a ${type} with a wrong ${name}`)
      }
      return { ...message, type } as unknown as Message
    },
  }
}

export function encodeJson(tag: number, lane: number, content: object): EncodedMessage {
  const bytes = Buffer.from(JSON.stringify(content))
  return { header: frameHeader(tag, lane, 0, bytes.length), bytes }
}

export function decodeJson({ bytes, start, end }: ReceivedFrame): Record<string, unknown> {
  if (end - start > JSON_BYTES_MAX) throw new Error(`a message of ${end - start} bytes`)
  const content: unknown = JSON.parse(bytes.toString('utf8', start, end))
  if (typeof content !== 'object' || content === null) throw new Error('a message without fields')
  return content as Record<string, unknown>
}

/** A message of numbers only. */
function numbers<Message extends { readonly type: string }>(
  tag: number,
  type: Message['type'],
  names: readonly Exclude<keyof Message, 'type'>[],
): Row<Message> {
  return {
    tag,
    encode: (lane, message) => {
      const header = frameHeader(tag, lane, 8 * names.length)
      for (const [index, name] of names.entries()) {
        header.writeDoubleLE(message[name] as number, LINK_HEADER_BYTES + 8 * index)
      }
      return { header }
    },
    decode: ({ bytes, start, end }) => {
      if (end - start !== 8 * names.length) throw new Error(`a ${type} of ${end - start} bytes`)
      const message: Record<PropertyKey, unknown> = { type }
      for (const [index, name] of names.entries()) {
        message[name] = numberAt(bytes, start + 8 * index)
      }
      return message as unknown as Message
    },
  }
}

function numberAt(bytes: Buffer, offset: number): number {
  const value = bytes.readDoubleLE(offset)
  if (!isNumber(value)) throw new Error('a number that is none')
  return value
}

type FrameMessage = Extract<ToFollower, { type: 'frame' }>

/** `[f64 epoch][f64 commit revision]`, then the frame as in a segment without salt. */
const FRAME_OFFSET = 16

const FRAME_ROW: Row<FrameMessage> = {
  tag: 18,
  encode: (lane, { epoch, commitRevision, frame }) => {
    const fields = FRAME_OFFSET + FRAME_HEADER_BYTES
    // The header is apart: the journal may still read the memory in front of the body.
    const header = frameHeader(FRAME_ROW.tag, lane, fields, frame.body.length)
    header.writeDoubleLE(epoch, LINK_HEADER_BYTES)
    header.writeDoubleLE(commitRevision, LINK_HEADER_BYTES + 8)
    writeFrameHeader(header, LINK_HEADER_BYTES + FRAME_OFFSET, frame)
    return { header, bytes: frame.body }
  },
  decode: ({ bytes, start, end }, memory) => {
    const length = end - start - FRAME_OFFSET
    if (length < FRAME_HEADER_BYTES) throw new Error(`a frame of ${length} bytes`)
    const epoch = numberAt(bytes, start)
    const commitRevision = numberAt(bytes, start + 8)
    // It lives on, and the log writes its own header in front of the body.
    const own = memory.take(length)
    bytes.copy(own, 0, start + FRAME_OFFSET, end)
    const decoded = decodeFrame(own, 0, 0)
    if (decoded === undefined || decoded.frameBytes !== length || decoded.hasUnknownFlags) {
      throw new Error('a frame that is not sound')
    }
    return { type: 'frame', epoch, commitRevision, frame: decoded.frame }
  },
}

type PageMessage = Extract<ToFollower, { type: 'snapshotPage' }>

/** `[f64 epoch]`, then the page as it is. */
const PAGE_OFFSET = 8

const PAGE_ROW: Row<PageMessage> = {
  tag: 21,
  encode: (lane, { epoch, page }) => {
    const header = frameHeader(PAGE_ROW.tag, lane, PAGE_OFFSET, page.length)
    header.writeDoubleLE(epoch, LINK_HEADER_BYTES)
    return { header, bytes: page }
  },
  decode: ({ bytes, start, end }) => {
    const length = end - start - PAGE_OFFSET
    if (length < 0) throw new Error(`a page of ${length} bytes`)
    // It waits for its turn, and the memory it came in is used again.
    const page = Buffer.from(bytes.subarray(start + PAGE_OFFSET, end))
    return { type: 'snapshotPage', epoch: numberAt(bytes, start), page }
  },
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isReason(value: unknown): boolean {
  return typeof value === 'string' && value.length <= REASON_CHARS_MAX
}

function isPosition(value: unknown): boolean {
  const { epoch, revision, checksum } = (value ?? {}) as Partial<LogPosition>
  return isNumber(epoch) && isNumber(revision) && isNumber(checksum) && checksum <= 0xffff_ffff
}

function areEpochs(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > EPOCH_STARTS_MAX) return false
  const starts = value as readonly unknown[]
  return (
    starts.every((each) => typeof each === 'object' && each !== null) &&
    isEpochTable(starts as EpochStart[])
  )
}

function isSnapshotBegin(value: unknown): boolean {
  const { start, epochs, sessionFloor } = (value ?? {}) as Partial<SnapshotBegin>
  return isPosition(start) && areEpochs(epochs) && isNumber(sessionFloor)
}

function isSnapshotEnd(value: unknown): boolean {
  const { revision, timeMs, sessions, entries, checksum } = (value ?? {}) as Partial<SnapshotEnd>
  return [revision, timeMs, sessions, entries, checksum].every((each) => isNumber(each))
}

type Of<Message extends { readonly type: string }, Type extends Message['type']> = Extract<
  Message,
  { type: Type }
>

/** What a primary says. */
export const TO_FOLLOWER: Codec<ToFollower> = new Codec({
  greet: json<Of<ToFollower, 'greet'>>(16, 'greet', { epoch: isNumber }),
  cut: json<Of<ToFollower, 'cut'>>(17, 'cut', { epoch: isNumber, after: isPosition }),
  frame: FRAME_ROW,
  commit: numbers<Of<ToFollower, 'commit'>>(19, 'commit', ['epoch', 'revision']),
  snapshotBegin: json<Of<ToFollower, 'snapshotBegin'>>(20, 'snapshotBegin', {
    epoch: isNumber,
    begin: isSnapshotBegin,
  }),
  snapshotPage: PAGE_ROW,
  snapshotEnd: json<Of<ToFollower, 'snapshotEnd'>>(22, 'snapshotEnd', {
    epoch: isNumber,
    end: isSnapshotEnd,
  }),
})

/** What a follower says. */
export const TO_PRIMARY: Codec<ToPrimary> = new Codec({
  state: json<Of<ToPrimary, 'state'>>(32, 'state', {
    epoch: isNumber,
    hosting: isNumber,
    last: isPosition,
    epochs: areEpochs,
  }),
  joined: json<Of<ToPrimary, 'joined'>>(33, 'joined', { epoch: isNumber, last: isPosition }),
  unfit: json<Of<ToPrimary, 'unfit'>>(34, 'unfit', { epoch: isNumber, reason: isReason }),
  durable: numbers<Of<ToPrimary, 'durable'>>(35, 'durable', ['epoch', 'revision']),
  snapshotTaken: numbers<Of<ToPrimary, 'snapshotTaken'>>(36, 'snapshotTaken', ['epoch', 'pages']),
})

/** A reason as it travels: long ones lose their end. */
export function shortReason(reason: string): string {
  return reason.slice(0, REASON_CHARS_MAX)
}
