/**
 * The log of a shard as files on disk, to do to them what crashes and bad disks do. Only for shards
 * that nobody has open.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const SEGMENT_HEADER_BYTES = 4_096

export class LogFile {
  readonly path: string
  private readonly bytes: Buffer

  private constructor(path: string) {
    this.path = path
    this.bytes = readFileSync(path)
  }

  /** The segment that was written last. */
  static newestOf(dataDir: string, shard: number): LogFile {
    const directory = join(dataDir, 'shards', String(shard), '0', 'log')
    const names = readdirSync(directory).filter((name) => name.endsWith('.log'))
    const newest = names.toSorted().at(-1)
    if (newest === undefined) throw new Error(`${directory} holds no segment`)
    return new LogFile(join(directory, newest))
  }

  /** The file of a journal that holds `text`. */
  static journalWith(dataDir: string, text: string): LogFile {
    const directory = join(dataDir, 'journals')
    const files = readdirSync(directory).map((name) => new LogFile(join(directory, name)))
    const found = files.find(({ bytes }) => bytes.includes(text, 0, 'latin1'))
    if (found === undefined) throw new Error(`no journal in ${directory} holds ${text}`)
    return found
  }

  /** Where the first frame begins. */
  get start(): number {
    return SEGMENT_HEADER_BYTES
  }

  /** Behind the last byte that was written; the rest of a segment is zeros. */
  get end(): number {
    let end = this.bytes.length
    while (end > SEGMENT_HEADER_BYTES && this.bytes[end - 1] === 0) end -= 1
    return end
  }

  find(text: string): number {
    const offset = this.bytes.indexOf(text, 0, 'latin1')
    if (offset < 0) throw new Error(`${this.path} does not hold ${text}`)
    return offset
  }

  flip(offset: number): void {
    this.bytes.writeUInt8((this.bytes[offset] ?? 0) ^ 0x10, offset)
    this.save()
  }

  fill(start: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, start)
    this.save()
  }

  part(start: number, end: number): Uint8Array {
    return Uint8Array.from(this.bytes.subarray(start, end))
  }

  private save(): void {
    writeFileSync(this.path, this.bytes)
  }
}
