/**
 * Stands in for `vitest` in a page: its own runner and its own expectations, without the half that
 * talks to a process.
 */
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  chai,
  setState,
} from '@vitest/expect'
import type { ExpectStatic } from '@vitest/expect'

export {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  it,
  onTestFailed,
  onTestFinished,
  test,
} from '@vitest/runner'

export const expect: ExpectStatic = createExpect()

function createExpect(): ExpectStatic {
  for (const part of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(part)
  const asymmetric = Reflect.get(globalThis, ASYMMETRIC_MATCHERS_OBJECT) as object
  const assertion = (value: unknown, message?: string): unknown => chai.expect(value, message)
  const created = Object.assign(assertion, chai.expect, asymmetric) as unknown as ExpectStatic
  setState({ assertionCalls: 0, isExpectingAssertions: false }, created)
  return created
}
