import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CALL_COST, FairTurns, Share, TURN_COST_MAX } from './fair-turns.js'

const LARGE = TURN_COST_MAX / 2

interface Piece {
  readonly name: string
  readonly share: Share<Piece>
  readonly cost: number
}

function start() {
  const done: string[] = []
  const state = { isBlocked: false, turnEnds: 0 }
  const turns: FairTurns<Piece> = new FairTurns<Piece>({
    work: ({ name, share, cost }) => {
      done.push(name)
      turns.charge(share, cost)
    },
    isBlocked: () => state.isBlocked,
    onTurnEnd: () => {
      state.turnEnds += 1
    },
  })
  const ask = (share: Share<Piece>, name: string, cost: number): void => {
    turns.ask(share, { name, share, cost })
  }
  return { turns, ask, done, state }
}

async function nextTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

describe('fair turns', () => {
  test('time left and nobody waits → done at once, in the order it was asked for', () => {
    const { ask, done, turns } = start()
    const [one, other] = [new Share<Piece>(), new Share<Piece>()]
    ask(one, 'a', CALL_COST)
    ask(other, 'b', CALL_COST)
    ask(one, 'c', CALL_COST)
    expect(done).toEqual(['a', 'b', 'c'])
    expect(turns.isWaiting).toBe(false)
  })

  test('P7: more than a turn has time for → the rest in later turns, so that others are heard', async () => {
    const { ask, done, state } = start()
    const share = new Share<Piece>()
    for (const name of ['a', 'b', 'c', 'd', 'e']) ask(share, name, LARGE)
    expect(done).toEqual(['a', 'b'])
    await nextTurn()
    expect(done).toEqual(['a', 'b', 'c', 'd'])
    await nextTurn()
    expect(done).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(state.turnEnds).toBe(2)
  })

  test('P7: somebody who asks for little, behind a hundred who ask for much → is next', async () => {
    const { ask, done } = start()
    const greedy = Array.from({ length: 100 }, () => new Share<Piece>())
    for (let round = 0; round < 20; round += 1) for (const each of greedy) ask(each, 'much', LARGE)
    for (let turn = 0; turn < 60; turn += 1) await nextTurn()
    const modest = new Share<Piece>()
    for (let call = 0; call < 10; call += 1) {
      const before = done.length
      ask(modest, 'little', CALL_COST)
      await nextTurn()
      await nextTurn()
      expect(done.slice(before)).toContain('little')
    }
  })

  test('P7: those who ask for as much as they can → equal parts, whatever the size of their pieces', async () => {
    const { ask, done } = start()
    const [large, small] = [new Share<Piece>(), new Share<Piece>()]
    for (let piece = 0; piece < 400; piece += 1) ask(large, 'large', LARGE)
    for (let piece = 0; piece < 4_000; piece += 1) ask(small, 'small', LARGE / 10)
    for (let turn = 0; turn < 100; turn += 1) await nextTurn()
    const count = (name: string): number => done.filter((each) => each === name).length
    const ratio = count('small') / (10 * count('large'))
    expect(ratio).toBeGreaterThan(0.9)
    expect(ratio).toBeLessThan(1.1)
  })

  test('one had all the time while nobody else wanted it → it owes nothing', async () => {
    const { ask, done } = start()
    const [busy, fresh] = [new Share<Piece>(), new Share<Piece>()]
    for (let turn = 0; turn < 50; turn += 1) {
      ask(busy, 'before', LARGE)
      await nextTurn()
    }
    done.length = 0
    for (let piece = 0; piece < 10; piece += 1) {
      ask(busy, 'busy', LARGE)
      ask(fresh, 'fresh', LARGE)
    }
    for (let turn = 0; turn < 5; turn += 1) await nextTurn()
    expect(done.filter((name) => name === 'busy').length).toBeGreaterThanOrEqual(4)
  })

  test('blocked → nothing is done until it goes on; then in order', async () => {
    const { turns, ask, done, state } = start()
    const share = new Share<Piece>()
    state.isBlocked = true
    ask(share, 'a', CALL_COST)
    ask(share, 'b', CALL_COST)
    await nextTurn()
    expect(done).toEqual([])
    state.isBlocked = false
    turns.goOn()
    expect(done).toEqual(['a', 'b'])
  })

  test('withdrawn, or its share forgotten → not done; the others are', () => {
    const { turns, ask, done, state } = start()
    const [one, other] = [new Share<Piece>(), new Share<Piece>()]
    state.isBlocked = true
    ask(one, 'a', CALL_COST)
    ask(other, 'b', CALL_COST)
    ask(one, 'c', CALL_COST)
    turns.withdraw(({ name }) => name === 'a')
    turns.forget(other)
    state.isBlocked = false
    turns.goOn()
    expect(done).toEqual(['c'])
    expect(turns.isWaiting).toBe(false)
  })

  test('P4: anything asked for, blocked now and then → all of it is done, each share in its order', async () => {
    const step = fc.record({
      share: fc.nat(4),
      cost: fc.nat(2 * LARGE),
      blocks: fc.option(fc.boolean(), { freq: 5 }),
      passes: fc.boolean(),
    })
    const schedule = async (
      steps: { share: number; cost: number; blocks: boolean | null; passes: boolean }[],
    ) => {
      const { turns, ask, done, state } = start()
      const shares = Array.from({ length: 5 }, () => new Share<Piece>())
      for (const [number, { share, cost, blocks, passes }] of steps.entries()) {
        state.isBlocked = blocks ?? state.isBlocked
        ask(shares[share]!, `${share} ${number}`, cost)
        if (passes) await nextTurn()
      }
      state.isBlocked = false
      for (let turn = 0; turns.isWaiting; turn += 1) {
        turns.goOn()
        await nextTurn()
        expect(turn).toBeLessThan(3 * steps.length)
      }
      const asked = steps.map(({ share }, number) => `${share} ${number}`)
      for (const share of shares.keys()) {
        const own = (names: readonly string[]): string[] =>
          names.filter((name) => name.startsWith(`${share} `))
        expect(own(done)).toEqual(own(asked))
      }
    }
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), schedule), { numRuns: 100 })
  })
})
