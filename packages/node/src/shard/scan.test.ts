import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Held } from './held.js'
import { tombstone, visibleAt } from './held.js'
import { Overlay } from './overlay/overlay.js'
import type { PageRequest } from './scan.js'
import { readPage, sortOverlay } from './scan.js'
import { State } from './state/state.js'
import { inDirectory } from './testing/directory.js'
import { KEY_PARTS, keysInRange, textHeld, textOf } from './testing/entries.js'

const NOW_MS = 50

interface Sources {
  readonly state: State
  readonly overlay: Overlay
}

function withSources(use: (sources: Sources) => Promise<void>): Promise<void> {
  return inDirectory(async (directory) => {
    const state = State.open(directory, { clusterId: 'cluster-1', shard: 3 })
    try {
      await use({ state, overlay: new Overlay() })
    } finally {
      await state.close()
    }
  })
}

type Found = [string, string | undefined, number]

function pageOf(
  { overlay, state }: Sources,
  request: Partial<PageRequest> = {},
): { found: Found[]; resume: string | undefined } {
  while (sortOverlay(overlay));
  const found: Found[] = []
  const whole = { range: { from: '', to: undefined }, reverse: false, limit: 1_000, nowMs: NOW_MS }
  const { resume } = readPage(overlay, state, { ...whole, ...request }, (key, held) => {
    found.push([key, textOf(held), held.version])
  })
  return { found, resume }
}

function keysOf({ found }: { found: Found[] }): string[] {
  return found.map(([name]) => name)
}

/** Page after page until the range is exhausted. */
function pagesOf(sources: Sources, request: PageRequest): { found: Found[]; pages: number } {
  const all: Found[] = []
  let { range } = request
  for (let pages = 1; ; pages += 1) {
    const { found, resume } = pageOf(sources, { ...request, range })
    expect(found.length).toBeLessThanOrEqual(request.limit)
    all.push(...found)
    if (resume === undefined) return { found: all, pages }
    range = request.reverse ? { ...range, to: resume } : { ...range, from: resume }
  }
}

const key = fc
  .array(fc.constantFrom(...KEY_PARTS.slice(0, 8)), { minLength: 1, maxLength: 2 })
  .map((parts) => parts.join(''))
const expiry = fc.oneof(fc.constant(0), fc.integer({ min: NOW_MS - 2, max: NOW_MS + 2 }))
const held: fc.Arbitrary<Held> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(fc.string(), fc.integer({ min: 1, max: 99 }), expiry).map(toHeld),
  },
  fc.constant(tombstone(7)),
)
const layer = fc.array(fc.tuple(key, held), { maxLength: 40 })
const bound = fc.oneof(fc.constant(''), key)

function toHeld([text, version, expiresAt]: [string, number, number]): Held {
  return textHeld(text, version, { expiresAt })
}

describe('scan: any state and overlay', () => {
  const history = fc.record({
    stored: layer,
    frozen: layer,
    active: layer,
    late: layer,
    from: bound,
    to: fc.option(bound, { nil: undefined }),
    reverse: fc.boolean(),
    limit: fc.integer({ min: 1, max: 7 }),
  })

  test('P3: page by page, either direction → the newest visible entry of every key, once', async () => {
    const property = fc.asyncProperty(history, ({ stored, frozen, active, late, ...request }) =>
      withSources(async (sources) => {
        const { overlay, state } = sources
        await state.write(stored.map(([name, each]) => ({ key: name, held: each })))
        state.refresh()
        const model = new Map(stored)
        const put = (entries: readonly (readonly [string, Held])[]): void => {
          for (const [name, each] of entries) {
            overlay.put(name, each)
            model.set(name, each)
          }
        }
        put(frozen)
        overlay.freeze()
        put(active)
        pageOf(sources)
        put(late)
        const { from, to, reverse, limit } = request
        const visible = [...model].filter(([, each]) => visibleAt(each, NOW_MS) !== undefined)
        const keys = keysInRange(new Map(visible).keys(), { from, to }, reverse)
        const due = keys.map((name) => [name, textOf(model.get(name)), model.get(name)?.version])
        const asked = { range: { from, to }, reverse, nowMs: NOW_MS }
        expect(pagesOf(sources, { ...asked, limit }).found).toEqual(due)
        expect(pagesOf(sources, { ...asked, limit: 1_000 }).found).toEqual(due)
      }),
    )
    await fc.assert(property, { numRuns: 50 })
  })
})

describe('scan: where a page ends', () => {
  async function store(state: State, keys: readonly string[], text: string): Promise<void> {
    await state.write(keys.map((name) => ({ key: name, held: textHeld(text) })))
    state.refresh()
  }

  test('by count → after so many entries, to go on behind the last', () =>
    withSources(async (sources) => {
      await store(sources.state, ['a', 'b', 'c'], 'x')
      const forwards = pageOf(sources, { limit: 2 })
      expect([keysOf(forwards), forwards.resume]).toEqual([['a', 'b'], 'b\0'])
      const backwards = pageOf(sources, { limit: 2, reverse: true })
      expect([keysOf(backwards), backwards.resume]).toEqual([['c', 'b'], 'b'])
    }))

  test('P7: by bytes → the entry that passes them is the last', () =>
    withSources(async (sources) => {
      await store(sources.state, ['a', 'b', 'c'], 'x'.repeat(100))
      const page = pageOf(sources, { bytesSoft: 150 })
      expect([keysOf(page), page.resume]).toEqual([['a', 'b'], 'b\0'])
    }))

  test('P7: by effort → deleted and expired keys count, so that a step stays short', () =>
    withSources(async (sources) => {
      for (let index = 0; index < 4_000; index += 1) {
        const expired = textHeld('x', 1, { expiresAt: NOW_MS })
        sources.overlay.put(`key ${10_000 + index}`, index % 2 === 0 ? tombstone(1) : expired)
      }
      await store(sources.state, ['key 10000', 'z'], 'x')
      const first = pageOf(sources)
      expect(first.found).toEqual([])
      expect(first.resume).toBeDefined()
      const request = {
        range: { from: '', to: undefined },
        reverse: false,
        limit: 5,
        nowMs: NOW_MS,
      }
      const { found, pages } = pagesOf(sources, request)
      expect(found.map(([name]) => name)).toEqual(['z'])
      expect(pages).toBe(3)
    }))

  test('the range is exhausted → nothing to go on with', () =>
    withSources(async (sources) => {
      await store(sources.state, ['a', 'b'], 'x')
      expect(pageOf(sources).resume).toBeUndefined()
      expect(pageOf(sources, { range: { from: 'c', to: undefined } })).toEqual({
        found: [],
        resume: undefined,
      })
    }))
})
