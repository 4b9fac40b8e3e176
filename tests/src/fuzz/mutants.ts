/**
 * Malformed messages: random bytes, and valid ones with bits flipped, parts cut, doubled or replaced,
 * lengths that lie. Many leave the envelope whole, so that the decoders of the children are reached.
 */
import type { SeededRandom } from '../load/seeded-random.js'
import { BODIES, envelope, hello, ping } from './samples.js'

/** First bytes of MessagePack items that claim a length or are never sent. */
const HEADS = [
  0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb,
  0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde,
  0xdf, 0xff,
] as const
const RANDOM_BYTES_MAX = 200

export interface Mutant {
  readonly bytes: Uint8Array
  /** The envelope is whole, and leads to a child: what is wrong is the body. */
  readonly isForChild: boolean
}

type Mutation = (bytes: Uint8Array, random: SeededRandom) => Uint8Array

const MUTATIONS: readonly Mutation[] = [
  flipBits,
  flipBits,
  replaceByHead,
  replaceByHead,
  truncate,
  lieAboutLength,
  insert,
  remove,
  double,
]

export class Mutants {
  private readonly random: SeededRandom
  private readonly children: number
  private lastId = 0

  constructor(random: SeededRandom, children: number) {
    this.random = random
    this.children = children
  }

  next(): Mutant {
    const { random } = this
    const kind = random.below(20)
    if (kind >= 8) {
      const body = this.mutate(random.pick(BODIES))
      return { bytes: envelope(this.nextId(), this.child(), body), isForChild: true }
    }
    return { bytes: this.forCoordinator(kind), isForChild: false }
  }

  private forCoordinator(kind: number): Uint8Array {
    const { random } = this
    if (kind === 0) return random.bytes(random.below(RANDOM_BYTES_MAX))
    if (kind === 1) return this.mutate(hello())
    if (kind === 2) return this.mutate(ping())
    return this.mutate(envelope(this.nextId(), this.child(), random.pick(BODIES)))
  }

  private child(): number {
    return 1 + this.random.below(this.children)
  }

  private nextId(): number {
    this.lastId += 1
    return this.lastId
  }

  private mutate(bytes: Uint8Array): Uint8Array {
    const { random } = this
    let mutant = bytes
    for (let times = 1 + random.below(3); times > 0; times -= 1) {
      mutant = random.pick(MUTATIONS)(mutant, random)
    }
    return mutant
  }
}

function flipBits(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const mutant = Uint8Array.from(bytes)
  for (let times = 1 + random.below(8); times > 0 && mutant.length > 0; times -= 1) {
    const offset = random.below(mutant.length)
    mutant[offset] = (mutant[offset] ?? 0) ^ (1 << random.below(8))
  }
  return mutant
}

function replaceByHead(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const mutant = Uint8Array.from(bytes)
  if (mutant.length > 0) mutant[random.below(mutant.length)] = random.pick(HEADS)
  return mutant
}

function truncate(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  return bytes.slice(0, random.below(bytes.length + 1))
}

/** An item of a length that the message does not have. */
function lieAboutLength(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const head = random.pick([0xc6, 0xdb, 0xdd, 0xdf, 0xc9])
  const length = random.pick([0, 1, 255, 65_535, 2 ** 20, 2 ** 31, 2 ** 32 - 1])
  const item = [head, length >>> 24, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff]
  const offset = random.below(bytes.length + 1)
  return Uint8Array.from([...bytes.subarray(0, offset), ...item, ...bytes.subarray(offset + 1)])
}

function insert(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const offset = random.below(bytes.length + 1)
  const added = random.bytes(1 + random.below(16))
  return Uint8Array.from([...bytes.subarray(0, offset), ...added, ...bytes.subarray(offset)])
}

function remove(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const start = random.below(bytes.length + 1)
  const end = start + random.below(9)
  return Uint8Array.from([...bytes.subarray(0, start), ...bytes.subarray(end)])
}

function double(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const start = random.below(bytes.length + 1)
  return Uint8Array.from([...bytes.subarray(0, start), ...bytes.subarray(start >> 1)])
}
