import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { inDirectory } from '../testing/directory.js'
import { textHeld, textOf } from '../testing/entries.js'
import { CommitFailed } from './commit-failure.js'
import { State } from './state.js'
import { STORED_HEADER_BYTES, StateDamage, stateDamageIn } from './stored-entry.js'

const IDENTITY = { clusterId: 'cluster-1', shard: 3 }
const PAGE_BYTES = 8_192
const NEEDLE = 'the value that is to be damaged'

/** The file of a closed state of some entries, one of them with `NEEDLE`. */
let sound: Buffer

beforeAll(() =>
  inDirectory(async (directory) => {
    const state = State.open(directory, IDENTITY)
    const changes = Array.from({ length: 1_500 }, (_, index) => {
      const held = textHeld(index === 700 ? NEEDLE : 'x'.repeat(100), index + 1)
      return { key: `key ${1_000 + index}`, held }
    })
    await state.write(changes, { appliedRevision: 1_500, applyingRevision: 1_500 })
    await state.close()
    sound = await readFile(join(directory, 'data.mdb'))
  }),
)

function withDamagedState(
  damage: (data: Buffer) => Buffer,
  use: (directory: string) => Promise<void> | void,
): Promise<void> {
  return inDirectory(async (directory) => {
    await writeFile(join(directory, 'data.mdb'), damage(Buffer.from(sound)))
    await use(directory)
  })
}

const NEEDLE_KEY = 'key 1700'

function flipAt(offset: number): (data: Buffer) => Buffer {
  return (data) => {
    const at = data.indexOf(NEEDLE)
    expect(at).toBeGreaterThan(0)
    expect(data.indexOf(NEEDLE, at + 1)).toBe(-1)
    data[at + offset] = (data[at + offset] as number) ^ 1
    return data
  }
}

function lookAtAll(state: State): void {
  for (let index = 0; index < 1_500; index += 1) {
    expect(state.get(`key ${1_000 + index}`)).toBeDefined()
  }
}

function walkAll(state: State, reverse: boolean): number {
  let count = 0
  for (const { held } of state.range('', undefined, reverse)) count += held.version > 0 ? 1 : 0
  return count
}

describe('state: a stored entry is damaged (P8)', () => {
  test.each([
    ['its checksum', -STORED_HEADER_BYTES],
    ['its version', -STORED_HEADER_BYTES + 4],
    ['its expiry', -1],
    ['the first byte of its value', 0],
    ['the last byte of its value', NEEDLE.length - 1],
  ])('%s → noticed by a read, never served; its neighbours are', (_name, offset) =>
    withDamagedState(flipAt(offset), async (directory) => {
      const state = State.open(directory, IDENTITY)
      expect(() => state.get(NEEDLE_KEY)).toThrow(StateDamage)
      expect(textOf(state.get('key 1699'))).toBe('x'.repeat(100))
      expect(() => walkAll(state, false)).toThrow(/"key 1700" fails its checksum/)
      expect(() => walkAll(state, true)).toThrow(/"key 1700" fails its checksum/)
      await state.close()
    }),
  )

  test('it is to be replaced, and the index must know its expiry → noticed', () =>
    withDamagedState(flipAt(0), async (directory) => {
      const state = State.open(directory, IDENTITY)
      await state.write([{ key: 'other', held: textHeld('x', 1, { expiresAt: 5 }) }])
      state.refresh()
      await expect(state.write([{ key: NEEDLE_KEY, held: textHeld('y') }])).rejects.toThrow(
        StateDamage,
      )
      await state.close()
    }))
})

describe('state: a page is damaged (P8)', () => {
  function pageHeadFilled(page: number): (data: Buffer) => Buffer {
    return (data) => data.fill(0xff, page * PAGE_BYTES, page * PAGE_BYTES + 32)
  }

  test.each([
    ['forwards', false],
    ['in reverse', true],
  ])('any single one → a walk %s is whole or says that it is not', async (_name, reverse) => {
    const outcomes = new Set<string>()
    for (let page = 2; page < 26; page += 1) {
      await withDamagedState(pageHeadFilled(page), async (directory) => {
        try {
          const state = State.open(directory, IDENTITY)
          outcomes.add(`${walkAll(state, reverse)} entries`)
          await state.close()
        } catch (error) {
          outcomes.add(stateDamageIn(error)?.name ?? String(error))
        }
      })
    }
    expect(outcomes).toEqual(new Set(['1500 entries', 'StateDamage']))
  })

  test('a page with entries → a read that needs it says so', () =>
    withDamagedState(
      (data) => {
        const page = Math.floor(data.indexOf(NEEDLE) / PAGE_BYTES)
        return pageHeadFilled(page)(data)
      },
      async (directory) => {
        const state = State.open(directory, IDENTITY)
        let error: unknown
        try {
          lookAtAll(state)
        } catch (caught) {
          error = caught
        }
        expect(stateDamageIn(error)).toBeInstanceOf(StateDamage)
        await state.close()
      },
    ))
})

describe('state: a page is damaged, and met while the state is changed (P8)', () => {
  test('→ the replica says so, and can be closed', () =>
    withDamagedState(
      (data) => {
        const page = Math.floor(data.indexOf(NEEDLE) / PAGE_BYTES)
        return data.fill(0xff, page * PAGE_BYTES, page * PAGE_BYTES + 32)
      },
      async (directory) => {
        const state = State.open(directory, IDENTITY)
        const error: unknown = await state
          .write([{ key: NEEDLE_KEY, held: textHeld('y') }])
          .catch((reason: unknown) => reason)
        expect(error).not.toBeInstanceOf(CommitFailed)
        expect(stateDamageIn(error)).toBeInstanceOf(StateDamage)
        await state.close()
      },
    ))
})

describe('state: the head of the file is damaged (P8)', () => {
  test.each<[string, (data: Buffer) => Buffer]>([
    ['zeros', (data) => Buffer.alloc(data.length)],
    ['something else', (data) => Buffer.alloc(data.length, 'not an environment of LMDB. ')],
    ['its first page lost', (data) => data.fill(0, 0, PAGE_BYTES)],
    ['its second page lost', (data) => data.fill(0, PAGE_BYTES, 2 * PAGE_BYTES)],
    ['cut within its head', (data) => data.subarray(0, PAGE_BYTES + 10)],
    ['cut within what is in use', (data) => data.subarray(0, 5 * PAGE_BYTES)],
    ['another page size', (data) => (data.writeUInt32LE(4_096, 48), data)],
    ['another version', (data) => (data.writeUInt32LE(3, 28), data)],
  ])('%s → refused as damage, and the process lives', (_name, damage) =>
    withDamagedState(damage, (directory) => {
      expect(() => State.open(directory, IDENTITY)).toThrow(StateDamage)
    }),
  )
})
