/** Calls of a client, with 256 in flight or 100 keys each, against a node that costs next to nothing. */
import { createClient } from '@kv/client'
import type { UntypedClient } from '@kv/client'
import { ENCODED_VALUE } from './protocol-workloads.js'
import type { WriteAnswer } from './still-node.js'
import { StillNode } from './still-node.js'
import type { Workload } from './workload.js'
import { IN_FLIGHT, KEYS, VALUE } from './workload.js'

const MANY = 100
const CALLS_PER_LANE = 8
const MANY_LANES = 4

const ENTRIES = KEYS.slice(0, MANY).map((key): [string, string] => [key, VALUE])
const MANY_KEYS = KEYS.slice(0, MANY)

const answerValue: WriteAnswer = (writer) => {
  writer.binary(ENCODED_VALUE)
}
const answerVersion: WriteAnswer = (writer) => {
  writer.integer(1)
}
const answerCounter: WriteAnswer = (writer) => {
  writer.array(3)
  writer.number(1)
  writer.integer(1)
  writer.integer(0)
}

export async function clientWorkloads(): Promise<Workload[]> {
  const kv = createClient({ url: 'kv://still', direct: false, WebSocket: StillNode })
  await kv.connect()
  return [
    alone('get', answerValue, (key) => kv.get(key)),
    alone('set', answerVersion, (key) => kv.set(key, VALUE)),
    alone('increment', answerCounter, (key) => kv.increment(key)),
    ...manyOf(kv),
  ]
}

function manyOf(kv: UntypedClient): Workload[] {
  return [
    of('a key of getMany', answerValue, MANY_LANES, () => kv.getMany(MANY_KEYS), MANY),
    of('a key of setMany', answerVersion, MANY_LANES, () => kv.setMany(ENTRIES), MANY),
  ]
}

function alone(
  name: string,
  answer: WriteAnswer,
  call: (key: string) => Promise<unknown>,
): Workload {
  return of(name, answer, IN_FLIGHT, (index) => call(KEYS[index % KEYS.length]!))
}

/** Each lane makes its next call when the one before is answered. */
function of(
  name: string,
  answer: WriteAnswer,
  lanes: number,
  call: (index: number) => Promise<unknown>,
  keysPerCall = 1,
): Workload {
  async function lane(first: number): Promise<void> {
    for (let made = 0; made < CALLS_PER_LANE; made += 1) await call(first + made)
  }
  return {
    name: `client: ${name}`,
    round: async () => {
      StillNode.writeAnswer = answer
      await Promise.all(Array.from({ length: lanes }, (_, index) => lane(index)))
      return lanes * CALLS_PER_LANE * keysPerCall
    },
  }
}
