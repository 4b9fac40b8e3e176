/**
 * Malformed messages against a running node: no process ends, and clients that behave are served all
 * the while. The long form: KV_FUZZ_ATTACKS=100000; the codecs alone get as many in any run
 * (`decoder-fuzz.test.ts`).
 */
import type { UntypedClient } from '@kv/client'
import { expect, test } from 'vitest'
import { attack } from './fuzz/fuzz-connection.js'
import type { Attack } from './fuzz/fuzz-connection.js'
import { bombs } from './fuzz/bombs.js'
import { Mutants } from './fuzz/mutants.js'
import { brokenFrame, frame } from './fuzz/web-socket-frames.js'
import { SeededRandom } from './load/seeded-random.js'
import { sceneOfTest } from './scene/scene.js'

const ATTACKS = Number(process.env['KV_FUZZ_ATTACKS'] ?? 30_000)
const LANES = 8
const CHILDREN = 2
/** A round of the client that behaves after so many attacks. */
const ROUND_ATTACKS = 1_000
/** Far more than it takes: other tests run beside it. */
const TIMEOUT_MS = 400_000

test(
  `${ATTACKS.toLocaleString('en')} malformed messages (seeded) → no process ends, others are served (P7)`,
  async () => {
    const scene = sceneOfTest()
    const node = await scene.serve({ children: CHILDREN, logLevel: 'error' })
    const children = node.childPids()
    const client = scene.client({ url: node.url, timeout: 10_000 })
    const random = SeededRandom.fromEnvironment()
    console.log(`seed ${random.seed}`)
    const rounds: Promise<string | undefined>[] = []
    const attacks = attacksOf(random, (sent) => {
      if (sent % ROUND_ATTACKS === 0) rounds.push(behave(client, sent))
    })
    const port = Number(new URL(node.url).port)
    const nextAttack = (): Attack | undefined => attacks.next().value
    await Promise.all(Array.from({ length: LANES }, () => attack(port, nextAttack)))

    expect(rounds).toHaveLength(ATTACKS / ROUND_ATTACKS)
    expect((await Promise.all(rounds)).filter((wrong) => wrong !== undefined)).toEqual([])
    const values = await client.list({ prefix: 'behaved/' }).toArray()
    expect(values.map(({ value }) => value)).toEqual(rounds.map((_, index) => textOf(index + 1)))
    expect(node.childPids()).toEqual(children)
    expect(node.hasEnded).toBe(false)
    expect(node.log).toBe('')
  },
  TIMEOUT_MS,
)

function* attacksOf(
  random: SeededRandom,
  onSent: (count: number) => void,
): Generator<Attack, undefined> {
  const mutants = new Mutants(random, CHILDREN)
  const large = Object.values(bombs()).map((bomb) => frame(bomb))
  for (let sent = 1; sent <= ATTACKS; sent += 1) {
    onSent(sent)
    const kind = random.below(100)
    const bomb = large[sent % 5_000]
    const { bytes, isForChild } = mutants.next()
    if (bomb !== undefined) yield { frames: bomb, isFirst: false, isAnswered: false }
    else if (kind < 4) {
      yield { frames: brokenFrame(bytes, random), isFirst: kind < 1, isAnswered: false }
    } else {
      const isFirst = kind < 8
      yield { frames: frame(bytes), isFirst, isAnswered: isForChild && !isFirst }
    }
  }
  return undefined
}

/** What a client that behaves does; what went wrong, if something did. */
async function behave(client: UntypedClient, sent: number): Promise<string | undefined> {
  const round = sent / ROUND_ATTACKS
  const key = `behaved/${String(round).padStart(6, '0')}`
  try {
    await client.set(key, textOf(round))
    const value: unknown = await client.get(key)
    return value === textOf(round) ? undefined : `${key} holds ${String(value)}`
  } catch (error) {
    return `${key}: ${String(error)}`
  }
}

function textOf(round: number): string {
  return `round ${round}`
}
