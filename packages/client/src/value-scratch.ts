/**
 * The memory in which values are encoded before they are copied into a batch: encoding may fail
 * half way, and a batch must not be left with half a value.
 */
import { encodeValue, KvError, WireWriter } from '@kv/protocol'
import { quoteKey } from './session/call-errors.js'

/** A scratch that has grown beyond this is let go. */
const SPARE_BYTES_MAX = 262_144

export class ValueScratch {
  private spare: WireWriter | undefined = new WireWriter()

  /** Lends the memory, empty. Getters of a value may make calls, so it may be out already. */
  take(): WireWriter {
    const writer = this.spare ?? new WireWriter()
    this.spare = undefined
    writer.position = 0
    return writer
  }

  giveBack(writer: WireWriter): void {
    if (writer.bytes.length <= SPARE_BYTES_MAX) this.spare = writer
  }
}

/**
 * Appends `value`, encoded. Throws `TypeError` for what cannot be carried, `VALUE_TOO_LARGE` beyond
 * `bytesMax`; nothing is appended then.
 */
export function writeValue(
  writer: WireWriter,
  key: string,
  value: unknown,
  bytesMax: number,
): void {
  const start = writer.position
  encodeValue(writer, value)
  const bytes = writer.position - start
  if (bytes <= bytesMax) return
  writer.position = start
  throw new KvError(
    'VALUE_TOO_LARGE',
    `the value for ${quoteKey(key)} has ${bytes} bytes, the node takes ${bytesMax} at most: ` +
      'split it over several keys',
  )
}
