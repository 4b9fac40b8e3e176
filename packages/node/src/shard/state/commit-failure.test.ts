import { describe, expect, test } from 'vitest'
import { CommitFailed, commitFailure } from './commit-failure.js'
import { stateDamageIn } from './stored-entry.js'

/** As lmdb rejects. */
function rejection(reason: Error): Error {
  const commitError = Promise.reject(reason)
  commitError.catch(() => undefined)
  return Object.assign(new Error('Commit failed (see commitError for details)'), { commitError })
}

describe('commit failure: what it means for the process', () => {
  test.each(['Input/output error: Attempting to write page at position 8192', 'No space left'])(
    '%s → memory may be overwritten',
    async (message) => {
      const failure = await commitFailure(rejection(new Error(message)))
      expect(failure).toBeInstanceOf(CommitFailed)
      expect(failure.message).toBe(`the state could not be stored: ${message}`)
    },
  )

  test('a reason that never comes → the same', async () => {
    const error = Object.assign(new Error('Commit failed'), { commitError: new Promise(() => {}) })
    expect(await commitFailure(error)).toBeInstanceOf(CommitFailed)
  })

  test('damage met while changing the state → the replica alone is concerned (P8)', async () => {
    const failure = await commitFailure(rejection(new Error('MDB_PAGE_NOTFOUND: page not found')))
    expect(failure).not.toBeInstanceOf(CommitFailed)
    expect(stateDamageIn(failure)).toBeDefined()
  })
})
