import { expect, test } from 'vitest'
import type { Findings, Report } from '../run/report.js'
import { settingsFrom, type RunSettings } from '../run/settings.js'
import { CANARIES } from './canaries.js'
import { type Catch, huntAll, renderCatches, type Run } from './canary-hunt.js'

const NOTHING: Findings = {
  lost: [],
  violations: [],
  duplicates: [],
  versions: [],
  watch: [],
  damage: [],
  problems: [],
}

/** What each run finds, one after the other; and with which settings it was run. */
function runsThatFind(...findings: Partial<Findings>[]): { run: Run; runs: RunSettings[] } {
  const runs: RunSettings[] = []
  const run: Run = (settings) => {
    const found = findings[runs.length] ?? {}
    runs.push(settings)
    return Promise.resolve({ findings: { ...NOTHING, ...found } } as Report)
  }
  return { run, runs }
}

function asked(...args: string[]): RunSettings {
  return settingsFrom(['--seed', '7', ...args])!
}

const ports = { onCatch: () => undefined, onUnfinished: () => undefined }

test('each known bug is put in, with the copies that it needs', async () => {
  const names = Object.keys(CANARIES)
  const { run, runs } = runsThatFind(...names.map(() => ({ lost: ['a'] })))
  const catches = await huntAll(asked('--canary', 'all'), run, ports)
  expect(catches.map(({ name }) => name)).toEqual(names)
  expect(runs.map(({ canary }) => canary)).toEqual(names)
  const copies = Object.values(CANARIES).map(({ replicas = 1 }) => replicas)
  expect(runs.map(({ replicationFactor }) => replicationFactor)).toEqual(copies)
})

test('a run that only could not go on finds nothing: another seed is tried', async () => {
  const { run, runs } = runsThatFind(
    { problems: ['stuck'] },
    { violations: ['a', 'b'], watch: ['c'] },
  )
  const unfinished: unknown[] = []
  const [found] = await huntAll(asked('--canary', 'reads-uncommitted'), run, {
    ...ports,
    onUnfinished: (...said) => unfinished.push(said),
  })
  expect(unfinished).toEqual([['reads-uncommitted', 7, 'stuck']])
  expect(runs[1]?.seed).not.toBe(7)
  expect(found).toMatchObject({ seed: runs[1]?.seed, oracles: ['violations', 'watch'], first: 'a' })
})

test('a name that nobody knows is refused', () => {
  expect(() => asked('--canary', 'reads-uncommitted,nonsense')).toThrow(
    'there is no canary nonsense',
  )
})

test('the table names the bug, the promise, who found it, and what was missed', () => {
  const canary = CANARIES['reads-uncommitted']!
  const found: Catch = {
    name: 'reads-uncommitted',
    canary,
    seed: 7,
    rounds: 2,
    seconds: 31.4,
    oracles: ['violations', 'watch'],
    first: 'a',
  }
  const rows = renderCatches([found, { ...found, oracles: [] }]).split('\n')
  expect(rows[2]).toMatch(
    /`reads-uncommitted` .* P3 +\| linearizability, watches \| 31 s \(round 2\)/,
  )
  expect(rows[3]).toContain('MISSED')
})

// In this process, which serves nothing.
test.each(Object.entries(CANARIES))('%s finds what it is to replace', async (_, canary) => {
  const putIn = async (): Promise<void> => {
    await canary.release()
    await canary.releaseInCoordinator?.()
  }
  await expect(putIn()).resolves.toBeUndefined()
})
