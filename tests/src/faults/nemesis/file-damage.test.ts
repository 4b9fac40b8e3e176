import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, afterEach, describe, expect, test } from 'vitest'
import { SeededRandom } from '../../load/seeded-random.js'
import { damageCopy, damageState, isSetAside, isTrimmed, lose } from './file-damage.js'

const HEADER_BYTES = 4_096
const FRAME_BYTES = 100
const CAPACITY_BYTES = 65_536
const SEEDS = Array.from({ length: 200 }, (_, seed) => seed)

let root: string
let copy: string

function segment(name: string, frames: number): string {
  const bytes = Buffer.alloc(CAPACITY_BYTES)
  for (let index = 0; index < frames; index += 1) {
    const offset = HEADER_BYTES + index * FRAME_BYTES
    bytes.fill(1, offset, offset + FRAME_BYTES)
    bytes.writeUInt32LE(FRAME_BYTES - 48, offset + 8)
  }
  const path = join(copy, 'log', `${name.padStart(20, '0')}.log`)
  writeFileSync(path, bytes)
  return path
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kv-damage-'))
  copy = join(root, '0')
  for (const name of ['log', 'state', 'snapshots']) mkdirSync(join(copy, name), { recursive: true })
})

afterEach(() => {
  rmSync(root, { recursive: true, force: true })
})

describe('damage between two starts', () => {
  test('a frame that may be the last one, and torn, is left alone', () => {
    const path = segment('1', 1)
    for (const seed of SEEDS) {
      const before = segment('1', 1)
      if (damageCopy(new SeededRandom(seed), copy) === undefined) continue
      const bytes = readFileSync(before)
      // Cut off, or in the header: both are noticed whatever the frames are.
      const isShort = bytes.length < CAPACITY_BYTES
      expect(isShort || bytes.subarray(HEADER_BYTES).equals(pristine(path))).toBe(true)
    }
  })

  test('what it says is what was done', () => {
    const kinds = SEEDS.map((seed) => {
      segment('1', 8)
      writeFileSync(join(copy, 'state', 'data.mdb'), 'pages')
      return damageCopy(new SeededRandom(seed), copy)?.replace(/\d+|\/\S+/g, '') ?? ''
    })
    expect(new Set(kinds)).toEqual(
      new Set(['noise in ', ' cut off after  bytes', 'another bit in byte  of ']),
    )
  })

  test('a copy that is alone is damaged only if it has a snapshot', () => {
    writeFileSync(join(copy, 'state', 'data.mdb'), 'pages')
    expect(damageState(new SeededRandom(1), copy)).toBeUndefined()
    writeFileSync(join(copy, 'snapshots', '0000000000000001.snapshot'), '')
    expect(damageState(new SeededRandom(1), copy)).toContain('noise')
  })
})

test('a log has lost its beginning when its oldest segment is not the first', () => {
  expect(isTrimmed(copy)).toBe(false)
  const first = segment('1', 1)
  segment('400', 1)
  expect(isTrimmed(copy)).toBe(false)
  rmSync(first)
  expect(isTrimmed(copy)).toBe(true)
})

test('a copy or its state that was moved aside is seen, also when the copy is gone', () => {
  expect(isSetAside(copy)).toBe(false)
  mkdirSync(join(copy, 'state.damaged-1'))
  expect(isSetAside(copy)).toBe(true)
  lose(copy)
  expect(isSetAside(copy)).toBe(false)
  mkdirSync(join(root, '0.damaged-2'))
  expect(isSetAside(copy)).toBe(true)
})

function pristine(path: string): Buffer {
  segment('1', 1)
  return readFileSync(path).subarray(HEADER_BYTES)
}
