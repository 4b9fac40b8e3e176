import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SEQUENCE_SPAN_MAX, SequenceLedger } from './sequence-ledger.js'

test('low-water mark: numbers settle in any order → the highest below which all have', () => {
  const steps = fc.array(fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.constant('settle')))
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.nat()), (script, choices) => {
      const ledger = new SequenceLedger()
      const open = new Set<number>()
      let newest = 0
      const firsts: number[] = []
      for (const step of script) {
        if (typeof step === 'number') {
          firsts.push(ledger.issue(step) - newest)
          for (let count = 0; count < step; count += 1) open.add((newest += 1))
        } else {
          for (const sequence of Array.from(open)) {
            if ((choices.next().value as number) % 3 === 0) continue
            open.delete(sequence)
            ledger.settle(sequence)
          }
        }
        const [lowest = newest + 1] = open
        expect(ledger.lowWater).toBe(lowest - 1)
      }
      expect(firsts.every((first) => first === 1)).toBe(true)
    }),
    { numRuns: 30 },
  )
})

test('span: one number hangs → a bounded number of later ones are given out', () => {
  const ledger = new SequenceLedger()
  ledger.issue(SEQUENCE_SPAN_MAX - 1)
  expect(ledger.hasRoom(1)).toBe(true)
  expect(ledger.hasRoom(2)).toBe(false)
  ledger.settle(2)
  expect(ledger.hasRoom(2)).toBe(false)
  ledger.settle(1)
  expect(ledger.hasRoom(3)).toBe(true)
})
