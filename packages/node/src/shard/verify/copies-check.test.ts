/**
 * The offline check of copies against each other: silent about what faults may leave, exact about
 * what they must not (P1, P2).
 */
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { nodeFileSystem } from '../log/file-system.js'
import { State } from '../state/state.js'
import { setCall } from '../testing/calls.js'
import { inDirectory } from '../testing/directory.js'
import { ShardUnderTest } from '../testing/shard-under-test.js'
import type { CheckedCopy } from './copies-check.js'
import { compareCopies } from './copies-check.js'
import { JournalContents } from './journal-contents.js'
import { checkReplica } from './replica-check.js'
import { Trace } from './trace.js'

const IDENTITY = { clusterId: 'cluster-1', shard: 5 }

class Copies {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  directory(copy: number): string {
    return join(this.root, String(copy))
  }

  /** Opens a copy as primary of an epoch, has keys written, and closes it. */
  async write(copy: number, epoch: number, keys: readonly string[], isApplied: boolean) {
    const directory = this.directory(copy)
    const under = await ShardUnderTest.open({ directory, create: epoch === 1, epoch })
    for (const key of keys) await under.write(setCall(key, `${key} of epoch ${epoch}`))
    if (isApplied) await under.shard.apply()
    await under.shard.close()
  }

  /** Copy 1 becomes what copy 0 is. */
  async replicate(): Promise<void> {
    await cp(this.directory(0), this.directory(1), { recursive: true })
  }

  /** Puts an entry into the state of a copy that no log knows of. */
  async forge(copy: number, key: string): Promise<void> {
    const state = State.open(join(this.directory(copy), 'state'), IDENTITY)
    const memory = { bytes: Buffer.from('forged') }
    await state.write([{ key, held: { version: 1, expiresAt: 0, memory, start: 0, end: 6 } }])
    await state.close()
  }

  async findings(inSync: readonly number[]): Promise<string[]> {
    const checked: CheckedCopy[] = []
    for (const copy of [0, 1]) {
      const trace = new Trace()
      const directory = this.directory(copy)
      const journals = new JournalContents(nodeFileSystem, this.root)
      const check = { files: nodeFileSystem, directory, ...IDENTITY, epoch: 9, journals, trace }
      const isInSync = inSync.includes(copy)
      const { log, marks } = await checkReplica({ ...check, isInSync })
      const statePath = join(directory, 'state')
      checked.push({ copy, directory, statePath, isInSync, log, marks, trace })
    }
    const found = await compareCopies(checked, IDENTITY)
    return found.map(({ path, what }) => `${path.slice(this.root.length)}: ${what}`)
  }
}

function withCopies(use: (copies: Copies) => Promise<void>): Promise<void> {
  return inDirectory((root) => use(new Copies(root)))
}

/** Two copies of one log; each may have applied it or not. */
async function begin(copies: Copies, isApplied: boolean): Promise<void> {
  await copies.write(0, 1, ['a', 'b', 'c'], isApplied)
  await copies.replicate()
}

describe('copies that agree', () => {
  test.each([
    ['applied by both', true],
    ['applied by none', false],
  ])('the same log, %s → nothing found', (_, isApplied) =>
    withCopies(async (copies) => {
      await begin(copies, isApplied)
      expect(await copies.findings([0, 1])).toEqual([])
    }),
  )

  test('one has applied more, the other is behind and out of the set → nothing found', () =>
    withCopies(async (copies) => {
      await begin(copies, true)
      await copies.write(0, 2, ['a', 'd'], true)
      expect(await copies.findings([0])).toEqual([])
    }))

  test('a former primary has frames that nobody applied → nothing found', () =>
    withCopies(async (copies) => {
      await begin(copies, true)
      await copies.write(0, 2, ['lost'], false)
      await copies.write(1, 3, ['kept'], false)
      expect(await copies.findings([0, 1])).toEqual([])
    }))

  test('what the other has applied, a copy out of the set lacks and has otherwise → nothing found', () =>
    withCopies(async (copies) => {
      await begin(copies, true)
      await copies.write(0, 2, ['lost'], false)
      await copies.write(1, 3, ['kept'], true)
      expect(await copies.findings([1])).toEqual([])
    }))
})

describe('copies that do not', () => {
  test('P1: a copy in sync lacks what another has applied → which, and how far each is', () =>
    withCopies(async (copies) => {
      await begin(copies, true)
      await copies.write(0, 2, ['d'], true)
      expect(await copies.findings([0, 1])).toEqual([
        '/1: it is in sync, but its log ends at revision 4: copy 0 has applied revisions up to 6',
      ])
    }))

  test('P2: both have applied other frames → from where', () =>
    withCopies(async (copies) => {
      await begin(copies, false)
      await copies.write(0, 2, ['d'], true)
      await copies.write(1, 3, ['e'], true)
      expect(await copies.findings([1])).toEqual([
        '/1: from revision 5 on its log is another than that of copy 0, and copy 0 and copy 1 have applied it',
      ])
    }))

  test('P1: a copy in sync has another frame than the one that was applied → found', () =>
    withCopies(async (copies) => {
      await begin(copies, false)
      await copies.write(0, 2, ['d'], true)
      await copies.write(1, 3, ['e'], false)
      expect((await copies.findings([0, 1])).join()).toContain('and copy 0 has applied it')
    }))

  test.each([
    ['a key in one state only', 'forged'],
    ['another value', 'b'],
  ])('%s → the key', (_, key) =>
    withCopies(async (copies) => {
      await begin(copies, true)
      await copies.forge(1, key)
      expect(await copies.findings([0, 1])).toEqual([
        `/1/state: "${key}" is not what it is in copy 0, at revision 4`,
      ])
    }),
  )

  test('states of different revisions → what the log between does not tell is compared', () =>
    withCopies(async (copies) => {
      await begin(copies, true)
      await copies.write(0, 2, ['a', 'd'], true)
      await copies.forge(1, 'a')
      await copies.forge(1, 'b')
      expect(await copies.findings([0])).toEqual([
        '/1/state: "b" is not what it is in copy 0, at revision 4',
      ])
    }))
})
