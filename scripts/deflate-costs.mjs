// How many bits a deflate stream (RFC 1951) spends on each byte of what it holds. A copy's bits are
// divided evenly among the bytes that it copies; those of the tables belong to no byte.

const LENGTH_BASES = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59]
LENGTH_BASES.push(67, 83, 99, 115, 131, 163, 195, 227, 258)
const TABLE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
const END = 256

export function bitsPerByte(deflated, length) {
  const stream = new BitStream(deflated)
  const bits = new Float64Array(length)
  let at = 0
  for (let isLast = false; !isLast;) {
    isLast = stream.take(1) === 1
    // What zlib makes of text: no block is stored as it is, and none so short that it has no tables.
    if (stream.take(2) !== 2) throw new Error('a block without tables of its own')
    const { literals, distances } = tablesOf(stream)
    for (;;) {
      const start = stream.position
      const symbol = stream.symbol(literals)
      if (symbol === END) break
      let count = 1
      if (symbol > END) {
        count = lengthOf(symbol - END - 1, stream)
        const distance = stream.symbol(distances)
        stream.take(Math.max(0, (distance >> 1) - 1))
      }
      bits.fill((stream.position - start) / count, at, at + count)
      at += count
    }
  }
  if (at !== length) throw new Error(`${at} bytes where ${length} are due`)
  return bits
}

function lengthOf(index, stream) {
  const isLongest = index === LENGTH_BASES.length - 1
  return LENGTH_BASES[index] + stream.take(isLongest ? 0 : Math.max(0, (index >> 2) - 1))
}

function tablesOf(stream) {
  const literalCount = stream.take(5) + 257
  const distanceCount = stream.take(5) + 1
  const lengthCount = stream.take(4) + 4
  const lengthLengths = Array.from({ length: 19 }, () => 0)
  for (const index of TABLE_ORDER.slice(0, lengthCount)) lengthLengths[index] = stream.take(3)
  const table = codesOf(lengthLengths)
  const lengths = []
  while (lengths.length < literalCount + distanceCount) {
    const symbol = stream.symbol(table)
    if (symbol < 16) lengths.push(symbol)
    else if (symbol === 16) repeat(lengths, lengths.at(-1), 3 + stream.take(2))
    else if (symbol === 17) repeat(lengths, 0, 3 + stream.take(3))
    else repeat(lengths, 0, 11 + stream.take(7))
  }
  const literals = codesOf(lengths.slice(0, literalCount))
  return { literals, distances: codesOf(lengths.slice(literalCount)) }
}

function repeat(list, item, count) {
  for (let left = count; left > 0; left -= 1) list.push(item)
}

/** Canonical Huffman codes: a 1 before the bits of the code → its symbol. */
function codesOf(lengths) {
  const codes = new Map()
  let code = 0
  for (let length = 1; length < 16; length += 1) {
    for (const [symbol, each] of lengths.entries()) {
      if (each !== length) continue
      codes.set((1 << length) | code, symbol)
      code += 1
    }
    code <<= 1
  }
  return codes
}

class BitStream {
  position = 0
  #bytes

  constructor(bytes) {
    this.#bytes = bytes
  }

  /** A number of `count` bits, its lowest first. */
  take(count) {
    let value = 0
    for (let bit = 0; bit < count; bit += 1) value |= this.#next() << bit
    return value
  }

  symbol(codes) {
    let code = 1
    for (;;) {
      code = (code << 1) | this.#next()
      const symbol = codes.get(code)
      if (symbol !== undefined) return symbol
    }
  }

  #next() {
    const bit = (this.#bytes[this.position >> 3] >> (this.position & 7)) & 1
    this.position += 1
    return bit
  }
}
