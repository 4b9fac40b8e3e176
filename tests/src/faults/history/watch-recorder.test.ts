/**
 * What is said of a watch stream, for streams whose faults are known (P6).
 */
import type { UntypedClient } from '@kv/client'
import { expect, test } from 'vitest'
import { until } from '../../scene/until.js'
import { found, KEY, set } from '../testing/lines.js'
import { padded } from '../workload/padding.js'
import { WatchRecorder } from './watch-recorder.js'

type Event = readonly [type: string, version: number, value?: string]

const HISTORY = [set(0, 1, 'a', 3), set(2, 3, 'b', 5)]

/** A client whose watch tells exactly this, and then waits. */
function telling(events: readonly Event[]): UntypedClient {
  const watch = async function* (_what: object, { signal }: { signal: AbortSignal }) {
    yield { type: 'ready' }
    for (const [type, version, value] of events) {
      if (type === 'reset' || type === 'ready') yield { type }
      else yield { type, key: KEY, version, value: value === undefined ? value : padded(value) }
    }
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    })
  }
  return { watch } as unknown as UntypedClient
}

const CASES: readonly (readonly [string, readonly Event[], number])[] = [
  [
    'every write once',
    [
      ['set', 3, 'a'],
      ['set', 5, 'b'],
    ],
    0,
  ],
  [
    'one of unknown outcome besides',
    [
      ['set', 3, 'a'],
      ['delete', 4],
      ['set', 5, 'b'],
    ],
    0,
  ],
  [
    'an end and a write of one version',
    [
      ['set', 3, 'a'],
      ['expire', 5],
      ['set', 5, 'b'],
    ],
    0,
  ],
  [
    'an end whose write, of the same version, went with the history',
    [
      ['set', 3, 'a'],
      ['expire', 5],
      ['reset', 0],
      ['ready', 0],
    ],
    0,
  ],
  [
    'an end without its write, and no word of it, so that the end is wrong, too',
    [
      ['set', 3, 'a'],
      ['expire', 5],
    ],
    2,
  ],
  ['one left out', [['set', 5, 'b']], 1],
  [
    'one left out, and said so',
    [
      ['reset', 0],
      ['set', 5, 'b'],
    ],
    0,
  ],
  [
    'one that came twice',
    [
      ['set', 3, 'a'],
      ['set', 3, 'a'],
      ['set', 5, 'b'],
    ],
    1,
  ],
  [
    'one out of order, so that the end is wrong, too',
    [
      ['set', 5, 'b'],
      ['set', 3, 'a'],
    ],
    2,
  ],
  [
    'what stands there, again after a reset',
    [
      ['set', 3, 'a'],
      ['set', 5, 'b'],
      ['reset', 0],
      ['set', 5, 'b'],
    ],
    0,
  ],
  [
    'what stands there, twice after a reset',
    [
      ['set', 3, 'a'],
      ['set', 5, 'b'],
      ['reset', 0],
      ['set', 5, 'b'],
      ['set', 5, 'b'],
    ],
    1,
  ],
  [
    'what stands there, again after each of two resets',
    [
      ['set', 3, 'a'],
      ['set', 5, 'b'],
      ['reset', 0],
      ['set', 5, 'b'],
      ['reset', 0],
      ['set', 5, 'b'],
    ],
    0,
  ],
  [
    'what stands there, again when all of it had been told',
    [
      ['set', 3, 'a'],
      ['set', 5, 'b'],
      ['reset', 0],
      ['ready', 0],
      ['set', 5, 'b'],
    ],
    1,
  ],
  [
    'what stood there before, after a reset',
    [
      ['set', 5, 'b'],
      ['reset', 0],
      ['set', 3, 'a'],
    ],
    1,
  ],
  [
    'a value that nobody wrote',
    [
      ['set', 3, 'a'],
      ['set', 4, 'x'],
      ['set', 5, 'b'],
    ],
    1,
  ],
]

test.each(CASES)('%s', async (_, events, violations) => {
  const watch = new WatchRecorder(telling(events))
  const changes = events.filter(([type]) => type !== 'reset' && type !== 'ready').length
  await until('all was told', () => watch.eventCount === changes)
  expect(watch.violations(HISTORY, new Map([[KEY, found('b', 5)]]))).toHaveLength(violations)
  await watch.stop()
})
