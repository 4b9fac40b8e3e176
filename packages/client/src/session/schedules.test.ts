import fc from 'fast-check'
import { expect, test } from 'vitest'
import { connectedHarness, settle } from '../testing/harness.js'

/** What may happen to a client and its node, each followed by a pause or by none. */
const anyStep = fc.record({
  do: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('set', 'get', 'get anywhere') },
    { weight: 4, arbitrary: fc.constantFrom('get many', 'get many anywhere') },
    { weight: 3, arbitrary: fc.constantFrom('move', 'move unheard') },
    { weight: 3, arbitrary: fc.constantFrom('hold', 'answer', 'tell') },
    { weight: 2, arbitrary: fc.constantFrom('back', 'fall behind') },
    { weight: 2, arbitrary: fc.constantFrom('listen', 'cut direct') },
    { weight: 1, arbitrary: fc.constantFrom('cut', 'lose', 'die', 'die late', 'orphan') },
  ),
  key: fc.nat(1),
  pause: fc.constantFrom('none', 'turn', 'wait'),
})

interface Attempt {
  readonly key: string
  /** Number of the write, or of the last write of the key before the read. */
  readonly number: number
  readonly isRead: boolean
  /** A replica read: it may give any value that was written, or none. */
  readonly isAnywhere: boolean
  readonly result: Promise<unknown>
}

interface Step {
  readonly do: string
  readonly key: number
  readonly pause: string
}

interface Run {
  readonly attempts: readonly Attempt[]
  /** Writes that the node executed. */
  readonly executed: number
}

async function run(steps: readonly Step[]): Promise<Run> {
  const limits = { inFlightBytesMax: 60 }
  const { kv, node, clock } = await connectedHarness({
    shards: 2,
    children: 2,
    limits,
    direct: 'auto',
    batchesBefore: 1,
  })
  const attempts: Attempt[] = []
  const newest = [0, 0]

  function call(isRead: boolean, index: number, isAnywhere: boolean = false): void {
    if (!isRead) newest[index]! += 1
    const key = `key-${index}`
    const number = newest[index]!
    const options = isAnywhere ? ({ consistency: 'replica' } as const) : {}
    const result: Promise<unknown> = isRead ? kv.get(key, options) : kv.set(key, number)
    result.catch(() => {})
    attempts.push({ key, number, isRead, isAnywhere, result })
  }

  /** Both keys, the one twice. */
  function callMany(index: number, isAnywhere: boolean = false): void {
    const asked = [index, 1 - index, index]
    const options = isAnywhere ? ({ consistency: 'replica' } as const) : {}
    const results = kv.getMany(
      asked.map((each) => `key-${each}`),
      options,
    )
    for (const [place, each] of asked.entries()) {
      const result = results.then((values) => values[place])
      result.catch(() => {})
      attempts.push({ key: `key-${each}`, number: newest[each]!, isRead: true, isAnywhere, result })
    }
  }

  const doers: Record<string, (key: number) => void> = {
    set: (key) => call(false, key),
    get: (key) => call(true, key),
    'get anywhere': (key) => call(true, key, true),
    'get many': (key) => callMany(key),
    'get many anywhere': (key) => callMany(key, true),
    back: () => {
      node.areBackupsInSync = true
      node.back({ 0: [2], 1: [1] })
    },
    'fall behind': () => {
      node.areBackupsInSync = false
    },
    move: (shard) => node.move({ [shard]: node.topology.primaries[shard] === 1 ? 2 : 1 }),
    'move unheard': (shard) => {
      node.move({ [shard]: node.topology.primaries[shard] === 1 ? 2 : 1 }, false)
    },
    listen: () => node.listen(),
    'cut direct': () => node.cutDirect(),
    orphan: (shard) => node.orphan(shard),
    tell: () => node.tell(),
    hold: () => {
      node.isHolding = true
    },
    answer: () => node.answerHeld(),
    lose: () => {
      node.loseReplies()
      node.cutDirect()
      node.cut()
    },
    die: () => node.die(false),
    'die late': () => node.die(true),
    cut: () => {
      node.dropHeld()
      node.cutDirect()
      node.cut()
    },
  }
  for (const step of steps) {
    doers[step.do]?.(step.key)
    if (step.pause === 'none') continue
    await settle()
    if (step.pause === 'wait') clock.advance(30)
    await settle()
  }
  await settle()
  clock.advance(100)
  await settle()
  node.answerHeld()
  node.move({ 0: 1, 1: 2 })
  for (let turn = 0; turn < 5; turn += 1) {
    await settle()
    clock.advance(100)
  }
  return { attempts, executed: node.store.setsExecuted }
}

/** What of the client's promises does not hold for these calls, in words. */
async function violationsOf({ attempts, executed }: Run): Promise<string[]> {
  const violations: string[] = []
  const writes = attempts.filter(({ isRead }) => !isRead).length
  if (executed !== writes) violations.push(`${writes} writes were executed ${executed} times`)
  const lastVersion = new Map<string, number>()
  const lastWritten = new Map<string, number>()
  for (const { key, number, isRead, isAnywhere, result } of attempts) {
    const name = `${isRead ? 'read' : 'write'} ${number} of ${key}`
    const settled = await Promise.race([
      result.catch((error: unknown) => ({ error })),
      settle().then(() => 'open'),
    ])
    if (settled === 'open') {
      violations.push(`${name} is still open`)
    } else if (isRead) {
      const written = isAnywhere ? 0 : (lastWritten.get(key) ?? 0)
      if (!(Number(settled ?? 0) >= written)) violations.push(`${name} does not see ${written}`)
    } else {
      const { version, error } = settled as { version?: number; error?: { code?: string } }
      if (version === undefined) {
        violations.push(`${name} failed: ${error?.code}`)
        continue
      }
      if (version <= (lastVersion.get(key) ?? 0)) violations.push(`${name} was overtaken`)
      lastVersion.set(key, version)
      lastWritten.set(key, number)
    }
  }
  return violations
}

test('P4: any schedule of calls, moves, holds, cuts and ways → each write once, in order, and read', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 60, size: 'max' }), async (steps) => {
      expect(await violationsOf(await run(steps))).toEqual([])
    }),
    { numRuns: 500 },
  )
})
