import { readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { LogFileSystem } from '../log/file-system.js'
import { nodeFileSystem } from '../log/file-system.js'
import { inDirectory } from '../testing/directory.js'
import { textHeld, textOf } from '../testing/entries.js'
import { CommitFailed } from './commit-failure.js'
import { Reserve } from './reserve.js'
import type { Change } from './state.js'
import { State } from './state.js'
import { StateDamage } from './stored-entry.js'

const IDENTITY = { clusterId: 'cluster-1', shard: 3 }
const STEP_BYTES = 262_144
const LARGE: readonly Change[] = [{ key: 'large', held: textHeld('x'.repeat(2_000_000)) }]

/** Takes so many bytes, by at most a megabyte at a time, then fails. */
class FullDisk {
  code = 'ENOSPC'
  freeBytes = Infinity
  writes = 0

  readonly files: LogFileSystem = {
    ...nodeFileSystem,
    open: async (path, mode) => {
      const file = await nodeFileSystem.open(path, mode)
      const write = file.write.bind(file)
      file.write = async (source, offset, length, position) => {
        this.writes += 1
        if (this.freeBytes === 0) throw Object.assign(new Error(this.code), { code: this.code })
        const count = await write(source, offset, Math.min(length, this.freeBytes), position)
        this.freeBytes -= count
        return count
      }
      return file
    },
  }
}

function withFile(bytes: number, use: (path: string) => Promise<void>): Promise<void> {
  return inDirectory(async (directory) => {
    const path = join(directory, 'data.mdb')
    await writeFile(path, Buffer.alloc(bytes, 1))
    await use(path)
  })
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path)).size
}

describe('reserve: the length of the file', () => {
  test('new → room for the first trees, before they are made', () =>
    withFile(16_384, async (path) => {
      Reserve.open(path, 16_384, nodeFileSystem)
      expect(await sizeOf(path)).toBe(STEP_BYTES)
    }))

  test('within what it has → nothing is written; beyond → written, in steps', () =>
    withFile(2 * STEP_BYTES, async (path) => {
      const disk = new FullDisk()
      const reserve = Reserve.open(path, STEP_BYTES, disk.files)
      await reserve.reach(2 * STEP_BYTES, STEP_BYTES)
      expect(disk.writes).toBe(0)
      await reserve.reach(2 * STEP_BYTES + 1, STEP_BYTES)
      expect(await sizeOf(path)).toBe(3 * STEP_BYTES)
      await reserve.reach(3 * STEP_BYTES, STEP_BYTES)
      expect(disk.writes).toBe(1)
      const { blocks } = await stat(path)
      expect(blocks * 512).toBeGreaterThanOrEqual(3 * STEP_BYTES)
    }))

  test('full half-way → what was written counts, and the next attempt goes on from there', () =>
    withFile(STEP_BYTES, async (path) => {
      const disk = new FullDisk()
      disk.freeBytes = STEP_BYTES + 5_000
      const reserve = Reserve.open(path, STEP_BYTES, disk.files)
      await expect(reserve.reach(4 * STEP_BYTES, STEP_BYTES)).rejects.toThrow('ENOSPC')
      expect(await sizeOf(path)).toBe(2 * STEP_BYTES + 5_000)
      disk.writes = 0
      await reserve.reach(2 * STEP_BYTES, STEP_BYTES)
      expect(disk.writes).toBe(0)
      disk.freeBytes = 2 * STEP_BYTES - 5_000
      await reserve.reach(4 * STEP_BYTES, STEP_BYTES)
      expect(disk.freeBytes).toBe(0)
    }))

  test('a copy with holes behind what is in use → these have no space, and get it', () =>
    withFile(STEP_BYTES, async (path) => {
      await truncate(path, 4 * STEP_BYTES)
      const reserve = Reserve.open(path, STEP_BYTES, nodeFileSystem)
      await reserve.reach(4 * STEP_BYTES, STEP_BYTES)
      const { blocks } = await stat(path)
      expect(blocks * 512).toBeGreaterThanOrEqual(4 * STEP_BYTES)
    }))

  test('LMDB took more than was reserved → none of that is overwritten', () =>
    withFile(STEP_BYTES, async (path) => {
      const reserve = Reserve.open(path, STEP_BYTES, nodeFileSystem)
      await writeFile(path, Buffer.alloc(2 * STEP_BYTES, 1))
      await reserve.reach(3 * STEP_BYTES, 2 * STEP_BYTES)
      const bytes = await readFile(path)
      expect(bytes.subarray(0, 2 * STEP_BYTES).every((byte) => byte === 1)).toBe(true)
      expect(bytes.subarray(2 * STEP_BYTES)).toEqual(Buffer.alloc(STEP_BYTES))
    }))

  test('shorter than what is in use → damage (P8)', () =>
    withFile(STEP_BYTES, async (path) => {
      expect(() => Reserve.open(path, STEP_BYTES + 1, nodeFileSystem)).toThrow(StateDamage)
    }))
})

describe('reserve: a state on a full disk', () => {
  test.each(['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO'])(
    'P1: %s → refused before LMDB sees anything; with space, stored',
    (code) =>
      inDirectory(async (directory) => {
        const disk = new FullDisk()
        const state = State.open(directory, IDENTITY, disk.files)
        await state.write([{ key: 'before', held: textHeld('x') }])
        Object.assign(disk, { code, freeBytes: 0 })
        const refused: unknown = await state.write(LARGE).catch((error: unknown) => error)
        expect(refused).not.toBeInstanceOf(CommitFailed)
        expect(String(refused)).toBe(`Error: the state could not be stored: ${code}`)
        state.refresh()
        expect(textOf(state.get('before'))).toBe('x')
        expect(state.get('large')).toBeUndefined()

        disk.freeBytes = Infinity
        await state.write(LARGE)
        state.refresh()
        expect(textOf(state.get('large'))?.length).toBe(2_000_000)
        await state.close()
      }),
  )

  test('opened again, with much more reserved than used → everything is there', () =>
    inDirectory(async (directory) => {
      let state = State.open(directory, IDENTITY)
      await state.write([{ key: 'a', held: textHeld('x') }], { appliedRevision: 7 })
      await state.close()
      const path = join(directory, 'data.mdb')
      await Reserve.open(path, STEP_BYTES, nodeFileSystem).reach(20 * STEP_BYTES, 0)
      const reader = State.openToRead(directory, IDENTITY)
      expect([reader.marks.appliedRevision, reader.entryCount]).toEqual([7, 1])
      await reader.close()
      const disk = new FullDisk()
      state = State.open(directory, IDENTITY, disk.files)
      expect(textOf(state.get('a'))).toBe('x')
      expect(state.bytesOnDisk).toBe(20 * STEP_BYTES)
      await state.write(LARGE)
      expect(disk.writes).toBe(0)
      await state.close()
    }))
})
