#version 330 core
// The distance of a pixel from the outline of a box decides how much of it is covered. The same formulas are in package
// ui/paint, which is the reference.
flat in vec4 boxRect;
flat in vec4 boxShape;
flat in vec4 boxFill;
flat in vec4 boxLine;

out vec4 color; // premultiplied

float outline(vec2 at) {
	vec2 size = boxRect.zw;
	vec2 p = at - (boxRect.xy + size * 0.5);
	float r = boxShape.z == 0.0 ? min(boxShape.x, min(size.x, size.y) * 0.5) : 0.0;
	vec2 q = abs(p) - size * 0.5 + r;
	float d = min(max(q.x, q.y), 0.0) - r + length(max(q, 0.0));
	if (boxShape.z == 1.0) {
		d = max(d, (p.y - p.x) * 0.70710678);
	} else if (boxShape.z == 2.0) {
		float n = length(vec2(size.y, size.x * 0.5));
		d = max(d, ((abs(p.x) - size.x * 0.5) * size.y + (p.y + size.y * 0.5) * size.x * 0.5) / n);
	}
	return d;
}

void main() {
	float d = outline(gl_FragCoord.xy);
	float outer = clamp(0.5 - d, 0.0, 1.0);
	float inner = outer;
	if (boxShape.y > 0.0 && boxLine.a > 0.0) {
		inner = clamp(0.5 - d - boxShape.y, 0.0, 1.0);
	}
	color = boxFill * inner + boxLine * (outer - inner);
}
