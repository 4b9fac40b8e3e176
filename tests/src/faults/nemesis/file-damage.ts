/**
 * What a bad disk does to the files of a copy between two starts. Each kind is one that opening the
 * copy has to notice: the rest of a torn last frame, which cannot be told from a crash, is none.
 */
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { SeededRandom } from '../../load/seeded-random.js'

const SEGMENT_HEADER_BYTES = 4_096
/** Of a frame: where its length is told, and where what its checksum covers has begun. */
const FRAME_HEADER_BYTES = 48
const LENGTH_AT = 8
const CHECKED_AT = 16
/** With fewer in a segment, the first might be the last, which may be torn. */
const FRAMES_MIN = 4
const GARBAGE_BYTES_MAX = 200_000

/** Damages something of a copy; says what, or `undefined` if there is nothing of the kind. */
type Damage = (random: SeededRandom, copy: string) => string | undefined

/** The pages of the stored state are noise, and fewer or more than they were. */
const stateIsGarbage: Damage = (random, copy) => {
  const path = join(copy, 'state', 'data.mdb')
  if (!existsSync(path)) return undefined
  writeFileSync(path, random.bytes(1 + random.below(GARBAGE_BYTES_MAX)))
  return `noise in ${path}`
}

const segmentIsShort: Damage = (random, copy) => {
  const path = random.pick(segmentsOf(copy))
  if (path === undefined) return undefined
  const bytes = random.below(readFileSync(path).length)
  truncateSync(path, bytes)
  return `${path} cut off after ${bytes} bytes`
}

const headerHasOtherBit: Damage = (random, copy) => {
  const path = random.pick(segmentsOf(copy))
  return path === undefined ? undefined : flip(path, random.below(20), random)
}

const frameHasOtherBit: Damage = (random, copy) => {
  const path = segmentsOf(copy).at(-1)
  if (path === undefined) return undefined
  const [first, ...others] = framesIn(readFileSync(path))
  if (first === undefined || others.length < FRAMES_MIN - 1) return undefined
  return flip(path, first.offset + CHECKED_AT + random.below(first.bytes - CHECKED_AT), random)
}

const OF_ANY: readonly Damage[] = [
  stateIsGarbage,
  segmentIsShort,
  headerHasOtherBit,
  frameHasOtherBit,
]

/** Says what was damaged, or `undefined` if there was nothing. */
export function damageCopy(random: SeededRandom, copy: string): string | undefined {
  return random.pick(OF_ANY)(random, copy)
}

/** The one damage of which a copy that is alone, and has a snapshot, recovers. */
export function damageState(random: SeededRandom, copy: string): string | undefined {
  return hasSnapshot(copy) ? stateIsGarbage(random, copy) : undefined
}

/** Nothing of it is there any more. */
export function lose(copy: string): string {
  rmSync(copy, { recursive: true, force: true })
  return `${copy} is gone`
}

/** Whether a damaged copy, or its state, was moved aside to be built anew. */
export function isSetAside(copy: string): boolean {
  const beside = readdirSync(dirname(copy)).filter((name) => name.startsWith(`${basename(copy)}.`))
  const within = existsSync(copy) ? readdirSync(copy) : []
  return [...beside, ...within].some((name) => name.includes('.damaged-'))
}

export function hasSnapshot(copy: string): boolean {
  const path = join(copy, 'snapshots')
  return existsSync(path) && readdirSync(path).some((name) => name.endsWith('.snapshot'))
}

/** The oldest first. */
export function segmentsOf(copy: string): readonly string[] {
  const directory = join(copy, 'log')
  if (!existsSync(directory)) return []
  const names = readdirSync(directory).filter((name) => name.endsWith('.log'))
  return names.toSorted().map((name) => join(directory, name))
}

/** Whether the log has lost its beginning, so that an empty copy cannot be brought up by it. */
export function isTrimmed(copy: string): boolean {
  const [oldest = ''] = segmentsOf(copy)
  return oldest !== '' && !/\/0*1\.log$/.test(oldest)
}

function flip(path: string, offset: number, random: SeededRandom): string {
  const bytes = readFileSync(path)
  const bit = 1 << random.below(8)
  bytes.writeUInt8(bytes.readUInt8(offset) ^ bit, offset)
  writeFileSync(path, bytes)
  return `another bit in byte ${offset} of ${path}`
}

interface Extent {
  readonly offset: number
  readonly bytes: number
}

/** By their lengths alone: those that have been written to the end. */
function framesIn(segment: Buffer): Extent[] {
  const found: Extent[] = []
  let offset = SEGMENT_HEADER_BYTES
  while (offset + FRAME_HEADER_BYTES <= segment.length) {
    const bytes = FRAME_HEADER_BYTES + segment.readUInt32LE(offset + LENGTH_AT)
    // Magic, masked: a frame never begins with zeros for long.
    if (bytes === FRAME_HEADER_BYTES || offset + bytes > segment.length) break
    found.push({ offset, bytes })
    offset += bytes
  }
  return found
}
