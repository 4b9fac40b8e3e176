import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { identifyProcess, isSameProcessAlive, startTicks } from './process-identity.js'

const STAT = '77 (a) b) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 7 0 123456 99 100'

describe('process identity', () => {
  test('a stat line → the start, whatever the command is called', () => {
    expect(startTicks(STAT)).toBe('123456')
  })

  test('a process that is dead but not reaped → does not count', () => {
    expect(startTicks(STAT.replace(' S ', ' Z ').replace(' 7 0 123456', ' 1 0 123456'))).toBe(
      undefined,
    )
  })

  test('a dead main thread while others are not → counts: they may still write (P5)', () => {
    expect(startTicks(STAT.replace(' S ', ' Z '))).toBe('123456')
  })

  test('this process → alive; with another start → not the same', async () => {
    const identity = await identifyProcess(process.pid)
    expect(await isSameProcessAlive(identity)).toBe(true)
    expect(await isSameProcessAlive({ ...identity, startedAt: 'long ago' })).toBe(false)
  })

  test('a process that has ended → not alive', async () => {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const identity = await identifyProcess(child.pid!)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await isSameProcessAlive(identity)).toBe(false)
  })
})
