import { describe, expect, test } from 'vitest'
import { continuationFault, LOG_START, type Continuation } from './position.js'

const previous = { epoch: 2, revision: 10, checksum: 77 }
const next: Continuation = { epoch: 2, firstRevision: 11, previousChecksum: 77, jump: false }

describe('position: what may follow', () => {
  test.each<[string, Partial<Continuation>, string | undefined]>([
    ['the next revision', {}, undefined],
    ['the next revision in a later epoch', { epoch: 5 }, undefined],
    ['a recorded jump in a later epoch', { epoch: 3, firstRevision: 50, jump: true }, undefined],
    ['an older epoch', { epoch: 1 }, 'older-epoch'],
    ['an older epoch, whatever its revision', { epoch: 1, firstRevision: 50 }, 'older-epoch'],
    ['a gap within an epoch', { firstRevision: 12 }, 'revision-gap'],
    ['a recorded jump within an epoch', { firstRevision: 12, jump: true }, 'revision-gap'],
    ['a gap in a later epoch, not recorded', { epoch: 3, firstRevision: 12 }, 'revision-gap'],
    ['a jump that is none', { epoch: 3, jump: true }, 'wrong-jump'],
    ['a repeated revision', { firstRevision: 10 }, 'revision-repeated'],
    ['a repeated revision in a later epoch', { epoch: 3, firstRevision: 1 }, 'revision-repeated'],
    ['another chain', { previousChecksum: 78 }, 'broken-chain'],
  ])('%s', (_name, changes, fault) => {
    expect(continuationFault(previous, { ...next, ...changes })).toBe(fault)
  })

  test('an empty log → begins with any epoch at revision 1', () => {
    const first = { epoch: 9, firstRevision: 1, previousChecksum: 0, jump: false }
    expect(continuationFault(LOG_START, first)).toBeUndefined()
  })
})
