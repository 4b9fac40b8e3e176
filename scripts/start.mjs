// `npm start`: installs and builds what is needed, then runs the demo. Arguments after `--` go to the demo.
import { runBuilt } from './run-built.mjs'

runBuilt('apps/demo/dist/main.js')
