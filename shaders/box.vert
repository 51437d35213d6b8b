#version 330 core
// One box of a frame: a quad one pixel larger than its rectangle on every side. Rows of the target run top down.
layout(location = 0) in vec2 corner; // of the unit square
layout(location = 1) in vec4 rect;   // x, y, width, height in pixels
layout(location = 2) in vec4 shape;  // radius, line width, shape number, unused
layout(location = 3) in vec4 fill;   // not premultiplied
layout(location = 4) in vec4 line;   // not premultiplied

uniform vec2 frame; // width and height of the target in pixels

flat out vec4 boxRect;
flat out vec4 boxShape;
flat out vec4 boxFill;
flat out vec4 boxLine;

void main() {
	boxRect = rect;
	boxShape = shape;
	boxFill = vec4(fill.rgb * fill.a, fill.a);
	boxLine = vec4(line.rgb * line.a, line.a);
	vec2 p = rect.xy - 1.0 + corner * (rect.zw + 2.0);
	gl_Position = vec4(p / frame * 2.0 - 1.0, 0.0, 1.0);
}
