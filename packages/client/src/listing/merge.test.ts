import { compareKeys } from '@kv/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { MergeSource } from './merge.js'
import { Merge } from './merge.js'

/** A source over a sorted array. */
class ArraySource implements MergeSource {
  position = 0
  readonly keys: readonly string[]

  constructor(keys: readonly string[]) {
    this.keys = keys
  }

  get headKey(): string {
    return this.keys[this.position]!
  }
}

function mergeAll(lists: readonly (readonly string[])[], reverse: boolean): string[] {
  const merge = new Merge<ArraySource>(reverse)
  for (const keys of lists) if (keys.length > 0) merge.add(new ArraySource(keys))
  const merged: string[] = []
  for (let source = merge.first; source !== undefined; source = merge.first) {
    merged.push(source.headKey)
    source.position += 1
    if (source.position < source.keys.length) merge.settleFirst()
    else merge.removeFirst()
  }
  return merged
}

const anyKey = fc.string({ unit: 'grapheme', maxLength: 6 })

test('merge: any sorted sources → all their keys in order, forwards and in reverse', () => {
  fc.assert(
    fc.property(fc.array(fc.array(anyKey)), fc.boolean(), (lists, reverse) => {
      const order = (left: string, right: string): number =>
        reverse ? compareKeys(right, left) : compareKeys(left, right)
      const sorted = lists.map((keys) => keys.toSorted(order))
      expect(mergeAll(sorted, reverse)).toEqual(lists.flat().toSorted(order))
    }),
  )
})
