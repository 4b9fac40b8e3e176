import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Session } from './session.js'

/** Results that come, and confirmations of so many of those that are there. */
const steps = fc.array(
  fc.oneof(
    fc.record({ count: fc.nat(40), isEncoded: fc.boolean() }),
    fc.record({ confirmed: fc.nat(200) }),
  ),
  { maxLength: 40, size: 'max' },
)

test('P4: results come and are confirmed, the rings grow and shrink → each keeps its own', () => {
  const property = fc.property(steps, (all) => {
    const session = new Session(1, 1, 0)
    let known: { sequence: number; revision: number; answer: number | Uint8Array }[] = []
    let sequence = 0
    for (const step of all) {
      if ('confirmed' in step) {
        const upTo = known[Math.min(step.confirmed, known.length) - 1]?.sequence ?? 0
        session.confirm(upTo)
        known = known.filter((result) => result.sequence > upTo)
        continue
      }
      for (let left = step.count; left > 0; left -= 1) {
        sequence += 1
        const revision = sequence * 3
        const answer = step.isEncoded && left % 2 === 0 ? Uint8Array.of(sequence & 255) : revision
        session.add(sequence, revision, answer)
        known.push({ sequence, revision, answer })
      }
    }
    expect(Array.from(session.results())).toEqual(known)
    for (const { sequence: each, revision, answer } of known) {
      expect(session.find(each)).toEqual({ revision, answer })
    }
  })
  fc.assert(property, { numRuns: 200 })
})
