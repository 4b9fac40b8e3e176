/**
 * 100,000 malformed messages through the decoders that coordinator and children run: each ends as
 * PROTOCOL or is taken, and none holds an event loop for 50 ms.
 *
 * One process and no network, so that what is measured is the decoding and nothing else.
 */
import { BatchBody, KvError, decodeClientMessage, decodeValue } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { bombs } from './fuzz/bombs.js'
import { Mutants } from './fuzz/mutants.js'
import { BODIES, envelope, hello, ping } from './fuzz/samples.js'
import { SeededRandom } from './load/seeded-random.js'

const MUTANTS = 100_000
const HELD_MS_MAX = 50
/** A decode that seemed long is measured again: the machine may have been busy elsewhere. */
const SUSPICIOUS_MS = 5
const TIMES_MAX = 5
const TIMEOUT_MS = 60_000

describe('malformed messages', () => {
  test(
    '100,000 mutants (seeded) → PROTOCOL or taken, none takes 50 ms',
    () => {
      const random = SeededRandom.fromEnvironment()
      const mutants = new Mutants(random, 4)
      const outcomes = { refused: 0, taken: 0 }
      let longestMs = 0
      for (let count = 0; count < MUTANTS; count += 1) {
        const { bytes: mutant } = mutants.next()
        const { result, ms } = timed(() => outcomeOf(mutant, random.seed))
        outcomes[result] += 1
        longestMs = Math.max(longestMs, ms)
      }
      console.log(`seed ${random.seed}: ${JSON.stringify(outcomes)}, at most ${longestMs} ms`)
      expect(longestMs).toBeLessThan(HELD_MS_MAX)
      expect(outcomes.refused).toBeGreaterThan(MUTANTS / 2)
      expect(outcomes.taken).toBeGreaterThan(0)
    },
    TIMEOUT_MS,
  )

  test('what they are made from is valid', () => {
    const samples = [hello(), ping(), ...BODIES.map((body) => envelope(1, 1, body))]
    expect(new Set(samples.map((sample) => outcomeOf(sample, 0)))).toEqual(new Set(['taken']))
  })

  test.each(Object.entries(bombs()))('%s → PROTOCOL, in less than 50 ms', (_, bomb) => {
    const { result, ms } = timed(() => outcomeOf(bomb, 0))
    expect(result).toBe('refused')
    expect(ms).toBeLessThan(HELD_MS_MAX)
  })

  test('20,000 mutants of stored values → PROTOCOL or read, none takes 50 ms', () => {
    const random = SeededRandom.fromEnvironment()
    const mutants = new Mutants(random, 4)
    let longestMs = 0
    for (let count = 0; count < 20_000; count += 1) {
      const { bytes: mutant } = mutants.next()
      longestMs = Math.max(longestMs, timed(() => readValue(mutant, random.seed)).ms)
    }
    expect(longestMs).toBeLessThan(HELD_MS_MAX)
  })
})

/** Decodes as the coordinator does, and then as the child does. */
function outcomeOf(bytes: Uint8Array, seed: number): 'refused' | 'taken' {
  try {
    const message = decodeClientMessage(bytes)
    if (message.type !== 'batch') return 'taken'
    const body = new BatchBody(message.body)
    for (let position = 0; position < body.callCount; position += 1) body.next()
    return 'taken'
  } catch (error) {
    return refused(error, bytes, seed)
  }
}

function readValue(bytes: Uint8Array, seed: number): 'refused' | 'taken' {
  try {
    decodeValue(bytes, 0, bytes.length)
    return 'taken'
  } catch (error) {
    return refused(error, bytes, seed)
  }
}

function refused(error: unknown, bytes: Uint8Array, seed: number): 'refused' {
  if (error instanceof KvError && error.code === 'PROTOCOL') return 'refused'
  const message = `seed ${seed}: ${Buffer.from(bytes).toString('hex')} → ${String(error)}`
  throw new Error(message, { cause: error })
}

/** The shortest of several times, if the first was long. */
function timed<T>(work: () => T): { readonly result: T; readonly ms: number } {
  let ms = Infinity
  for (let times = 1; ; times += 1) {
    const startedMs = performance.now()
    const result = work()
    ms = Math.min(ms, performance.now() - startedMs)
    if (ms < SUSPICIOUS_MS || times === TIMES_MAX) return { result, ms }
  }
}
