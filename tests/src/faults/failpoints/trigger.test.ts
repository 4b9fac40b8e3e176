/**
 * Who is ended at a failpoint. Signals are heard here, not sent.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { readControl, writeControl } from '../inside/control-file.js'
import { ARMED, FIRED, type Armed, type Fired, Trigger } from './trigger.js'

const COORDINATOR = 4_000_000

let control = ''
beforeEach(() => {
  control = mkdtempSync(join(tmpdir(), 'kv-trigger-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(control, { recursive: true, force: true })
})

function signalsOf(armed: Armed, passes: number): unknown[] {
  writeControl(control, ARMED, armed)
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true)
  const trigger = new Trigger(control, COORDINATOR)
  for (let pass = 0; pass < passes; pass += 1) trigger.pass(armed.point)
  return kill.mock.calls
}

test('passed once too few → nobody is ended', () => {
  expect(signalsOf({ point: 'here', pass: 3, deed: 'kill' }, 2)).toEqual([])
  expect(readControl<Fired>(control, FIRED)).toBeUndefined()
})

test('kill-both → the coordinator that forked it, whoever is the parent by now, then itself', () => {
  expect(process.ppid).not.toBe(COORDINATOR)
  const signals = signalsOf({ point: 'here', pass: 1, deed: 'kill-both' }, 2)
  expect(signals).toEqual([
    [COORDINATOR, 'SIGKILL'],
    [process.pid, 'SIGKILL'],
  ])
  const fired = { point: 'here', pid: process.pid, coordinator: COORDINATOR }
  expect(readControl<Fired>(control, FIRED)).toEqual(fired)
})
