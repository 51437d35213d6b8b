module unmask

go 1.25.0
