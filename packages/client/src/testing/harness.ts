/** A client on a fake node, with a clock that the test moves. */
import type { NodeLimits } from '@kv/protocol'
import { Client } from '../client.js'
import type { OpenDirectWays } from '../connection/direct-links.js'
import { DirectLinks } from '../connection/direct-links.js'
import type { UntypedClient } from '../kv-client.js'
import type { ClientOptions } from '../settings.js'
import { settingsOf } from '../settings.js'
import { FakeClock } from './fake-clock.js'
import { FakeNode } from './fake-node.js'

export interface Harness {
  readonly node: FakeNode
  readonly clock: FakeClock
  readonly kv: UntypedClient
}

export interface HarnessOptions extends ClientOptions {
  readonly shards?: number
  readonly children?: number
  readonly random?: () => number
  readonly batchesBefore?: number
  /** What the node announces, where it differs from the usual. */
  readonly limits?: Partial<NodeLimits>
}

export function harness(options: HarnessOptions = {}): Harness {
  const node = new FakeNode(options.shards, options.children)
  node.limits = { ...node.limits, ...options.limits }
  const clock = new FakeClock()
  const settings = settingsOf(options, { url: 'ws://fake', token: undefined })
  const { random = () => 0.5 } = options
  const { openTransport } = node
  const surroundings = { clock, random, openTransport }
  const { direct = false, batchesBefore } = options
  const openDirectWays: OpenDirectWays = (ports) =>
    new DirectLinks({ ...settings, direct, batchesBefore }, surroundings, ports)
  const client = new Client(settings, {
    ...surroundings,
    openDirectWays: direct === false ? undefined : openDirectWays,
  })
  return { node, clock, kv: client as unknown as UntypedClient }
}

/** A client whose connection is ready. */
export async function connectedHarness(options: HarnessOptions = {}): Promise<Harness> {
  const made = harness(options)
  await made.kv.connect()
  return made
}

/** Lets everything happen that is on its way: no time passes for the client. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}

/** What a promise settled as; `pending` if it has not. */
export async function outcomeOf(promise: Promise<unknown>): Promise<unknown> {
  const error = promise.then(
    () => 'fulfilled',
    (reason: unknown) => reason,
  )
  return Promise.race([error, settle().then(() => 'pending')])
}
