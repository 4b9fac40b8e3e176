import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { COMMIT_NOTICE_MS, CommitNotice } from './commit-notice.js'

describe('commit notice', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  function noticed(): { notice: CommitNotice; times: () => number } {
    const tell = vi.fn<() => void>()
    return { notice: new CommitNotice(tell), times: () => tell.mock.calls.length }
  }

  test('a commit that no frame carries → told once, in time', () => {
    const { notice, times } = noticed()
    notice.onCommit(1, true)
    notice.onCommit(2, true)
    vi.advanceTimersByTime(COMMIT_NOTICE_MS)
    expect(times()).toBe(1)
    vi.advanceTimersByTime(100)
    expect(times()).toBe(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('frames that follow each other → carry it, and nothing is told until the last one', () => {
    const { notice, times } = noticed()
    for (let revision = 1; revision <= 20; revision += 1) {
      notice.onFrame()
      notice.onCommit(revision, true)
      vi.advanceTimersByTime(1)
      expect(vi.getTimerCount()).toBe(1)
    }
    expect(times()).toBe(0)
    vi.advanceTimersByTime(2 * COMMIT_NOTICE_MS)
    expect(times()).toBe(1)
  })

  test('nobody follows → no timer; somebody comes → is told', () => {
    const { notice, times } = noticed()
    notice.onCommit(1, false)
    expect(vi.getTimerCount()).toBe(0)
    notice.onFollower()
    vi.advanceTimersByTime(COMMIT_NOTICE_MS)
    expect(times()).toBe(1)
  })

  test('closed → no timer is left', () => {
    const { notice, times } = noticed()
    notice.onCommit(1, true)
    notice.close()
    notice.onCommit(2, true)
    expect(vi.getTimerCount()).toBe(0)
    expect(times()).toBe(0)
  })
})
