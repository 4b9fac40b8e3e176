/**
 * Whole numbers below 2^53 as eight little-endian bytes. BigInt would do the same and allocate; the
 * log writes four of these per frame. Pure.
 */

const TWO_TO_32 = 0x1_0000_0000

export function writeSafeInteger(target: Buffer, value: number, offset: number): void {
  target.writeUInt32LE(value % TWO_TO_32, offset)
  target.writeUInt32LE(Math.floor(value / TWO_TO_32), offset + 4)
}

/** May return a number of 2^53 or more; whoever decodes must ask `Number.isSafeInteger`. */
export function readSafeInteger(source: Buffer, offset: number): number {
  return source.readUInt32LE(offset + 4) * TWO_TO_32 + source.readUInt32LE(offset)
}
