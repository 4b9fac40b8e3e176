/**
 * A page of a snapshot: rows as they lie in the stored state, each with its own checksum there.
 *
 *   [u32 checksum] then rows of [u8 kind][u32 key bytes][u32 value bytes][key][value]
 *
 * The checksum is that of the rows of all pages so far, so that a page that is lost, doubled or out of
 * order is noticed like one that is damaged. Pure.
 */
import { crc32 } from 'node:zlib'

export const ROW_KINDS = { session: 1, entry: 2 } as const

const CHECKSUM_BYTES = 4
const ROW_HEADER_BYTES = 9
const FIRST_BYTES = 65_536

/** A page is complete when it has so many bytes: about a millisecond to read and to send. */
export const PAGE_BYTES_SOFT = 262_144

export class PageWriter {
  private bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  private length = CHECKSUM_BYTES
  rows = 0

  get isFull(): boolean {
    return this.length >= PAGE_BYTES_SOFT
  }

  get isEmpty(): boolean {
    return this.rows === 0
  }

  /** Whether a row of so many bytes would make the page longer than one row must. */
  overflows(keyBytes: number, valueBytes: number): boolean {
    const length = this.length + ROW_HEADER_BYTES + keyBytes + valueBytes
    return !this.isEmpty && length > PAGE_BYTES_SOFT
  }

  /** Adds a row; `fill` writes its key and its value to where they belong. */
  row(
    kind: number,
    keyBytes: number,
    valueBytes: number,
    fill: (target: Buffer, keyAt: number, valueAt: number) => void,
  ): void {
    const start = this.length
    const keyAt = start + ROW_HEADER_BYTES
    const end = keyAt + keyBytes + valueBytes
    this.grow(end)
    this.bytes[start] = kind
    this.bytes.writeUInt32LE(keyBytes, start + 1)
    this.bytes.writeUInt32LE(valueBytes, start + 5)
    fill(this.bytes, keyAt, keyAt + keyBytes)
    this.length = end
    this.rows += 1
  }

  private grow(length: number): void {
    if (length <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.bytes.length))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }

  /** The page, in memory of its own. `checksum` is that of the pages before. */
  finish(checksum: number): { readonly page: Buffer; readonly checksum: number } {
    const page = this.bytes.subarray(0, this.length)
    const next = crc32(page.subarray(CHECKSUM_BYTES), checksum)
    page.writeUInt32LE(next, 0)
    return { page, checksum: next }
  }
}

/** What arrived is not what was sent: another attempt may do better. */
export class SnapshotDamage extends Error {
  constructor(what: string) {
    super(`the snapshot is damaged: ${what}`)
    this.name = 'SnapshotDamage'
  }
}

/** A row within its page: the key is `page[keyAt, valueAt)`, the value `page[valueAt, end)`. */
export interface PageRow {
  readonly kind: number
  readonly keyAt: number
  readonly valueAt: number
  readonly end: number
}

/** The rows of a page that follows those with `checksum`, and the checksum with it. */
export function readRows(
  page: Buffer,
  checksum: number,
): { readonly rows: readonly PageRow[]; readonly checksum: number } {
  if (page.length < CHECKSUM_BYTES) throw new SnapshotDamage(`a page of ${page.length} bytes`)
  const next = crc32(page.subarray(CHECKSUM_BYTES), checksum)
  if (page.readUInt32LE(0) !== next) throw new SnapshotDamage('a page fails its checksum')
  const rows: PageRow[] = []
  for (let at = CHECKSUM_BYTES; at < page.length; at = rows.at(-1)!.end) rows.push(rowAt(page, at))
  return { rows, checksum: next }
}

function rowAt(page: Buffer, at: number): PageRow {
  const keyAt = at + ROW_HEADER_BYTES
  if (keyAt > page.length) throw new SnapshotDamage('a row without its lengths')
  const valueAt = keyAt + page.readUInt32LE(at + 1)
  const end = valueAt + page.readUInt32LE(at + 5)
  if (end > page.length) throw new SnapshotDamage('a row longer than its page')
  return { kind: page[at]!, keyAt, valueAt, end }
}
