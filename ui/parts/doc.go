// Package parts holds what panes are built from: text in the design's sizes and colours, surfaces, buttons, fields, empty
// and error states, and layouts that know that wrapped text grows in height. Sizes are device-independent units.
package parts
